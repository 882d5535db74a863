import { setTimeout as sleep } from 'node:timers/promises'

import { describe, expect, it } from 'vitest'

import { EV, LoopResult } from '../../index.js'
import { never, openBase, until } from '../support/base.js'
import { close, readText, openPair, writeText } from '../support/descriptors.js'

const { STOPPED, EMPTY } = LoopResult

describe('from outside its callbacks, a base that is run is woken by', () => {
  it('a timer that is earlier than all others', async () => {
    const base = openBase()
    const order: string[] = []
    const long = base.newTimer(never).add(60_000)
    const running = base.run()
    await sleep(5)
    base
      .newTimer(() => {
        order.push('short')
        long.del()
      })
      .add(1)
    expect(await running).toBe(EMPTY)
    expect(order).toEqual(['short'])
  })

  it('a deadline that becomes earlier', async () => {
    const base = openBase()
    let fired = 0
    const timer = base.newTimer(() => (fired += 1)).add(60_000)
    const running = base.run()
    await sleep(5)
    timer.add(1)
    expect(await running).toBe(EMPTY)
    expect(fired).toBe(1)
  })

  it('an event on a descriptor', async () => {
    const base = openBase()
    const [left, right] = openPair()
    const received: unknown[] = []
    const long = base.newTimer(never).add(60_000)
    const running = base.run()
    await sleep(5)
    base
      .newEvent(left, EV.READ, (fd) => {
        received.push(readText(fd))
        long.close()
      })
      .add()
    writeText(right, 'late')
    expect(await running).toBe(EMPTY)
    expect(received).toEqual(['late'])
  })

  it('an activation', async () => {
    const base = openBase()
    const results: number[] = []
    const user = base.newEvent(-1, 0, (_, what) => results.push(what))
    const long = base.newTimer(never).add(60_000)
    const running = base.run()
    await sleep(5)
    user.activate(EV.READ)
    user.activate(EV.WRITE)
    await until(() => results.length > 0)
    expect(results).toEqual([EV.READ | EV.WRITE])
    long.del()
    expect(await running).toBe(EMPTY)
  })

  it('the deletion of its last event', async () => {
    const base = openBase()
    const event = base.newEvent(openPair()[0], EV.READ, never).add(60_000)
    const running = base.run()
    await sleep(5)
    event.del()
    expect(await running).toBe(EMPTY)
  })

  it('the removal of its last timer', async () => {
    const base = openBase()
    const timer = base.newTimer(never).add(60_000)
    const running = base.run()
    await sleep(5)
    timer.removeTimer()
    expect(await running).toBe(EMPTY)
  })

  it('an exit', async () => {
    const base = openBase()
    base.newTimer(never).add(60_000)
    const running = base.run()
    await sleep(5)
    base.loopExit()
    expect(await running).toBe(STOPPED)
    expect(base.gotExit).toBe(true)
  })

  it('an exit earlier than all timers', async () => {
    const base = openBase()
    base.newTimer(never).add(60_000)
    const running = base.run()
    await sleep(5)
    base.loopExit(2)
    expect(await running).toBe(STOPPED)
  })

  it('a break', async () => {
    const base = openBase()
    base.newTimer(never).add(60_000)
    const running = base.run()
    await sleep(5)
    base.loopBreak()
    expect(await running).toBe(STOPPED)
    expect(base.gotBreak).toBe(true)
  })

  it("each of them before the host's loop runs first", async () => {
    const base = openBase()
    let fired = 0
    const timer = base.newTimer(() => (fired += 1)).add(60_000)
    const running = base.run()
    timer.add(0)
    expect(await running).toBe(EMPTY)
    expect(fired).toBe(1)
  })
})

describe('closing the base', () => {
  it('from outside resolves with STOPPED', async () => {
    const base = openBase()
    base.newTimer(never).add(60_000)
    const running = base.run()
    await sleep(5)
    base.close()
    expect(await running).toBe(STOPPED)
  })

  it('before the first pass resolves with STOPPED', async () => {
    const base = openBase()
    base.newTimer(never).add(0)
    const running = base.run()
    base.close()
    expect(await running).toBe(STOPPED)
  })

  it('inside a callback resolves with STOPPED, and nothing else fires', async () => {
    const base = openBase()
    const order: string[] = []
    base
      .newTimer(() => {
        order.push('first')
        base.close()
        queueMicrotask(() => order.push('microtask'))
      })
      .add(0)
    base.newTimer(never).add(0)
    expect(await base.run()).toBe(STOPPED)
    expect(order).toEqual(['first', 'microtask'])
  })

  it('in a microtask of a callback resolves with STOPPED', async () => {
    const base = openBase()
    base.newTimer(() => queueMicrotask(() => base.close())).add(0)
    base.newTimer(never).add(0)
    expect(await base.run()).toBe(STOPPED)
  })

  it('inside a callback of another base resolves with STOPPED', async () => {
    const base = openBase()
    const other = openBase()
    base.newTimer(never).add(60_000)
    other.newTimer(() => base.close()).add(1)
    expect(await Promise.all([base.run(), other.run()])).toEqual([STOPPED, EMPTY])
  })
})

describe('a descriptor closed while the base is run', () => {
  it('without deleting its event does not keep the run from ending', async () => {
    const base = openBase()
    const [left, right] = openPair()
    base.newEvent(left, EV.READ | EV.PERSIST, () => {}).add()
    base.newTimer(() => base.loopExit()).add(10)
    const running = base.run()
    await sleep(2)
    close(left)
    close(right)
    expect(await running).toBe(STOPPED)
  })
})
