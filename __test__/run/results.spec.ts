import { spawnSync } from 'node:child_process'

import { describe, expect, it } from 'vitest'

import { EV, LoopResult } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { runFixture } from '../support/child.js'
import { openPair, writeText } from '../support/descriptors.js'

const { STOPPED, EMPTY } = LoopResult

/** A change of a resource limit of another process needs this command of util-linux. */
const changesLimits = spawnSync('prlimit', ['--version']).status === 0

const failures: [string, string, object][] = [
  ['epoll', 'a closed descriptor', { code: 'EBADF', errno: -9, syscall: 'epoll_wait' }],
  ['poll', 'more descriptors than the limit', { code: 'EINVAL', errno: -22, syscall: 'poll' }],
]

it.runIf(changesLimits).each(failures)(
  'run() and loop() fail with the error of %s for %s',
  async (method, _why, error) => {
    const { stdout, stderr, code } = await runFixture('failed-wait.mjs', method)
    expect([code, stderr]).toEqual([0, ''])
    expect(JSON.parse(stdout)).toEqual([error, error])
  },
)

describe('run()', () => {
  it('resolves with EMPTY when nothing is pending', async () => {
    expect(await openBase().run()).toBe(EMPTY)
  })

  it('resolves with EMPTY once the last event has fired', async () => {
    const base = openBase()
    const [left, right] = openPair()
    const order: string[] = []
    base.newEvent(left, EV.READ, () => order.push('read')).add()
    base
      .newTimer(() => {
        order.push('timer')
        writeText(right, 'x')
      })
      .add(1)
    base.newEvent(-1, 0, () => order.push('user')).activate()
    expect(await base.run()).toBe(EMPTY)
    expect(order).toEqual(['user', 'timer', 'read'])
  })

  it('resolves with STOPPED after an exit, which lets the pass finish', async () => {
    const base = openBase()
    const order: string[] = []
    base.newTimer(() => base.loopExit()).add(0)
    base.newTimer(() => order.push('second')).add(0)
    base.newTimer(never).add(60_000)
    expect(await base.run()).toBe(STOPPED)
    expect(order).toEqual(['second'])
    expect([base.gotExit, base.gotBreak]).toEqual([true, false])
  })

  it('resolves with STOPPED after an exit at a time, which is not early', async () => {
    const base = openBase()
    const start = performance.now()
    base.newTimer(never).add(60_000)
    expect(await base.loopExit(15).run()).toBe(STOPPED)
    expect(performance.now() - start).toBeGreaterThanOrEqual(15)
  })

  it('resolves with STOPPED after a break, which leaves active events', async () => {
    const base = openBase()
    const order: string[] = []
    base.newTimer(() => base.loopBreak()).add(0)
    base.newTimer(() => order.push('second')).add(0)
    expect(await base.run()).toBe(STOPPED)
    expect(order).toEqual([])
    expect([base.gotExit, base.gotBreak]).toEqual([false, true])
    expect(await base.run()).toBe(EMPTY)
    expect(order).toEqual(['second'])
  })

  it('resolves with STOPPED when a break was requested before', async () => {
    const base = openBase()
    base.newTimer(never).add(0)
    base.loopBreak()
    expect(await base.run()).toBe(STOPPED)
  })

  it('can be called repeatedly, and alternately with loop()', async () => {
    const base = openBase()
    let count = 0
    const timer = base.newTimer(() => (count += 1))
    for (let round = 0; round < 20; round += 1) {
      timer.add(0.1)
      expect(round % 3 === 0 ? base.dispatch() : await base.run()).toBe(EMPTY)
    }
    expect(count).toBe(20)
  })

  it('sets the running event', async () => {
    const base = openBase()
    const seen: unknown[] = []
    const timer = base.newTimer((_fd, _what, event) => seen.push(event, base.runningEvent)).add(1)
    await base.run()
    expect(seen).toEqual([timer, timer])
    expect(base.runningEvent).toBeUndefined()
  })

  it('is never early, to the fraction of a millisecond', async () => {
    const base = openBase()
    for (const timeout of [0.05, 0.2, 1.1, 3.4]) {
      let end = 0
      const start = performance.now()
      base.newTimer(() => (end = performance.now())).add(timeout)
      await base.run()
      expect(end - start).toBeGreaterThanOrEqual(timeout)
    }
  })

  it('runs a thousand short timers in order', async () => {
    const base = openBase()
    const fired: number[] = []
    base
      .newTimer(() => {
        for (let number = 0; number < 1000; number += 1) {
          base.newTimer(() => fired.push(number)).add(number / 100)
        }
      })
      .add(0)
    expect(await base.run()).toBe(EMPTY)
    expect(fired).toEqual(Array.from({ length: 1000 }, (_, number) => number))
  })
})
