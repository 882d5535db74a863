import { setTimeout as sleep } from 'node:timers/promises'

import { afterEach, describe, expect, it, vi } from 'vitest'

import { BaseFlag, EV, EventBase, EventConfig, LoopResult } from '../../index.js'
import { openBase } from '../support/base.js'
import { runFixture } from '../support/child.js'
import { readText, openPair, writeText } from '../support/descriptors.js'
import { refusal } from '../support/errors.js'
import { openDescriptors, threads } from '../../scripts/lib/system.mjs'

const { EMPTY, STOPPED } = LoopResult

/** Backends that no host can watch, so that a thread waits instead. */
const methods = EventBase.supportedMethods().filter((method) => method === 'poll' || method === 'select')

function configOf(method: string): EventConfig {
  const config = new EventConfig().setFlags(BaseFlag.IGNORE_ENV)
  for (const other of EventBase.supportedMethods()) if (other !== method) config.avoidMethod(other)
  return config
}

afterEach(() => {
  vi.unstubAllEnvs()
})

/** The descriptors and the threads of this process. */
function count(): number[] {
  return [openDescriptors(), threads()]
}

describe.each(methods)('on %s', (method) => {
  const open = (flags = 0): EventBase => openBase(configOf(method).setFlags(flags))

  it('the base reports the method', () => {
    expect(open().method).toBe(method)
  })

  it.each([0, BaseFlag.NOLOCK])('a run dispatches descriptors and deadlines (flags %i)', async (flags) => {
    const base = open(flags)
    const [left, right] = openPair()
    const received: unknown[] = []
    const reader = base
      .newEvent(left, EV.READ | EV.PERSIST, (fd) => {
        received.push(readText(fd))
        if (received.length === 3) reader.close()
      })
      .add()
    const timer = base
      .newTimer(
        () => {
          writeText(right, String(received.length))
          if (received.length === 2) timer.close()
        },
        { persist: true },
      )
      .add(2)
    expect(await base.run()).toBe(EMPTY)
    expect(received).toEqual(['0', '1', '2'])
  })

  it('changes between its callbacks take effect on the wait in progress', async () => {
    const base = open()
    const [left, right] = openPair()
    const [other, peer] = openPair()
    const order: unknown[] = []
    const long = base.newTimer(() => order.push('late')).add(60_000)
    const running = base.run()
    await sleep(10)
    base.newEvent(left, EV.READ, (fd) => order.push(readText(fd))).add()
    const gone = base.newEvent(other, EV.READ, () => order.push('gone')).add()
    await sleep(10)
    writeText(right, 'descriptor')
    while (order.length < 1) await sleep(1)
    gone.del()
    writeText(peer, 'unheard')
    base.newTimer(() => order.push('timer')).add(1)
    while (order.length < 2) await sleep(1)
    base.newEvent(-1, 0, () => order.push('user')).activate(EV.READ)
    while (order.length < 3) await sleep(1)
    expect(order).toEqual(['descriptor', 'timer', 'user'])
    long.del()
    expect(await running).toBe(EMPTY)
  })

  it('an abort, an exit and closing end a run, and another can start', async () => {
    const base = open()
    const keep = base.newTimer(() => {}).add(60_000)
    for (let round = 0; round < 5; round += 1) {
      const controller = new AbortController()
      const aborted = base.run({ signal: controller.signal })
      await sleep(round)
      controller.abort()
      await expect(aborted).rejects.toThrow('abort')
      const exited = base.run()
      await sleep(round)
      base.loopExit()
      expect(await exited).toBe(STOPPED)
    }
    keep.del()
    expect(base.loop()).toBe(EMPTY)
    keep.add(60_000)
    const closed = base.run()
    await sleep(5)
    base.close()
    expect(await closed).toBe(STOPPED)
  })

  it('a loop during a run is refused, and a run during a loop too', async () => {
    const base = open()
    const keep = base.newTimer(() => {}).add(60_000)
    const running = base.run()
    await sleep(5)
    expect(refusal(() => base.loop())).toBe('ERR_EVENT_REENTRANT')
    keep.del()
    expect(await running).toBe(EMPTY)
  })

  it('a run that waits uses no CPU time', async () => {
    const base = open()
    const keep = base.newTimer(() => {}).add(60_000)
    const [left, right] = openPair()
    base.newEvent(left, EV.READ, (fd) => readText(fd)).add()
    const user = base.newEvent(-1, 0, () => {})
    const running = base.run()
    await sleep(10)
    user.activate(EV.READ)
    writeText(right, 'x')
    await sleep(20)
    const before = process.cpuUsage()
    await sleep(200)
    const { user: inUser, system } = process.cpuUsage(before)
    keep.del()
    await running
    expect(inUser + system).toBeLessThan(150_000)
  })

  it('runs leave neither descriptors nor threads behind', async () => {
    const base = open()
    const timer = base.newTimer(() => {})
    const run = async (): Promise<void> => {
      timer.add(1)
      await base.run()
    }
    for (let round = 0; round < 3; round += 1) await run()
    const before = count()
    for (let round = 0; round < 20; round += 1) await run()
    await sleep(20)
    expect(count()).toEqual(before)
  })
})

describe('the process', () => {
  it.each([
    ['unref before', ['false', 'exit 0']],
    ['unref in a callback', ['exit 0']],
    ['ref again', ['true', 'fired', 'exit 0']],
    ['an abort', ['AbortError', 'exit 0']],
    ['close', ['exit 0']],
  ])('lives as long as it has to without a descriptor: %s', async (name, lines) => {
    for (const method of methods) {
      vi.stubEnv('EVENT_NOEPOLL', '1')
      vi.stubEnv('EVENT_NOKQUEUE', '1')
      if (method === 'select') vi.stubEnv('EVENT_NOPOLL', '1')
      const { code, signal, stdout, stderr } = await runFixture('liveness.mjs', name)
      expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' })
      expect(stdout.trim().split('\n')).toEqual(lines)
    }
  })
})
