import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

import { describe, expect, it, onTestFinished } from 'vitest'

import { LoopFlag, type Event, type EventBase } from '../../index.js'
import { openBase, until } from '../support/base.js'
import { listen, raise, SIGCHLD, SIGUSR2 } from '../support/signals.js'
import { hasHandler, reportsHandlers } from '../../scripts/lib/system.mjs'

/** An event that counts, on a base that is run until the test is over. */
function counting(signal: 'SIGUSR2' | 'SIGCHLD'): { base: EventBase; event: Event; calls: () => number } {
  const base = openBase()
  let calls = 0
  const event = base.newSignal(signal, () => (calls += 1)).add()
  const timer = base.newTimer(() => {}).add(60_000)
  const running = base.run()
  onTestFinished(async () => {
    if (!base.closed) timer.close()
    base.close()
    await running
  })
  return { base, event, calls: () => calls }
}

describe('beside listeners of Node', () => {
  it.each(['the listener', 'the event'])('both receive a signal when %s was first', async (first) => {
    let node = 0
    if (first === 'the listener') listen('SIGUSR2', () => (node += 1))
    const { calls } = counting('SIGUSR2')
    if (first === 'the event') listen('SIGUSR2', () => (node += 1))
    for (let round = 1; round <= 3; round += 1) {
      raise('SIGUSR2')
      await until(() => node === round && calls() === round)
      expect([node, calls()]).toEqual([round, round])
    }
  })

  it.each(['the listener', 'the event'])(
    'the listener still receives it after the event is closed, when %s was first',
    async (first) => {
      let node = 0
      if (first === 'the listener') listen('SIGUSR2', () => (node += 1))
      const { event, calls } = counting('SIGUSR2')
      if (first === 'the event') listen('SIGUSR2', () => (node += 1))
      event.close()
      raise('SIGUSR2')
      await until(() => node === 1)
      await sleep(5)
      expect([node, calls()]).toEqual([1, 0])
    },
  )

  it.each(['the listener', 'the event'])(
    'the event still receives it, and the process lives, after the listener is removed, when %s was first',
    async (first) => {
      let node = 0
      let remove: (() => void) | undefined
      if (first === 'the listener') remove = listen('SIGUSR2', () => (node += 1))
      const { event, calls } = counting('SIGUSR2')
      if (first === 'the event') remove = listen('SIGUSR2', () => (node += 1))
      remove?.()
      raise('SIGUSR2', 2)
      await until(() => calls() === 2)
      expect([node, calls()]).toEqual([0, 2])
      event.close()
      if (reportsHandlers) expect(hasHandler(SIGUSR2)).toBe(false)
    },
  )

  it('a listener that is added and removed repeatedly changes nothing', async () => {
    const { calls } = counting('SIGUSR2')
    let node = 0
    for (let round = 1; round <= 4; round += 1) {
      process.once('SIGUSR2', () => (node += 1))
      raise('SIGUSR2')
      await until(() => node === round && calls() === round)
      expect([node, calls(), process.listenerCount('SIGUSR2')]).toEqual([round, round, 0])
    }
    listen('SIGUSR2', () => (node += 1))
    listen('SIGUSR2', () => (node += 1))
    raise('SIGUSR2')
    await until(() => node === 6 && calls() === 5)
    process.removeAllListeners('SIGUSR2')
    raise('SIGUSR2')
    await until(() => calls() === 6)
    expect([node, calls()]).toEqual([6, 6])
  })

  it('two bases and a listener all receive it', async () => {
    const [one, two] = [counting('SIGUSR2'), counting('SIGUSR2')]
    let node = 0
    const remove = listen('SIGUSR2', () => (node += 1))
    raise('SIGUSR2')
    await until(() => node + one.calls() + two.calls() === 3)
    expect([node, one.calls(), two.calls()]).toEqual([1, 1, 1])
    one.base.close()
    remove()
    raise('SIGUSR2')
    await until(() => two.calls() === 2)
    expect([node, one.calls(), two.calls()]).toEqual([1, 1, 2])
  })

  it('a base that blocks receives it immediately, the listener afterwards', async () => {
    const base = openBase()
    const order: string[] = []
    base.newSignal('SIGUSR2', () => order.push('event')).add()
    listen('SIGUSR2', () => order.push('listener'))
    raise('SIGUSR2')
    base.loop(LoopFlag.ONCE)
    expect(order).toEqual(['event'])
    await until(() => order.length === 2)
    expect(order).toEqual(['event', 'listener'])
  })
})

async function exit(code: number): Promise<unknown> {
  const child = spawn('sh', ['-c', `exit ${code}`])
  const [status] = await once(child, 'close')
  return status
}

describe('SIGCHLD, whose handler Node installs for each child', () => {
  it('is received for every child, of the first spawn and of later ones, and no exit is missed', async () => {
    const { base, calls } = counting('SIGCHLD')
    for (let round = 1; round <= 4; round += 1) {
      expect(await exit(round)).toBe(round)
      await until(() => calls() === round)
      expect(calls()).toBe(round)
    }
    expect(spawnSync('sh', ['-c', 'exit 9']).status).toBe(9)
    await until(() => calls() === 5)
    expect(calls()).toBe(5)
    base.close()
    expect(process.listenerCount('SIGCHLD')).toBe(0)
    expect(await exit(6)).toBe(6)
    if (reportsHandlers) expect(hasHandler(SIGCHLD)).toBe(false)
  })

  it('does not hide a child from Node when the event is closed first', async () => {
    const child = spawn('sh', ['-c', 'sleep 0.1; exit 7'])
    const { event, base } = counting('SIGCHLD')
    event.close()
    base.close()
    expect((await once(child, 'close'))[0]).toBe(7)
  })
})
