import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'

import { describe, expect, it } from 'vitest'

import { BaseFlag, CountFlag, EV, EventConfig, LoopFlag, LoopResult } from '../../index.js'
import { never, openBase, until } from '../support/base.js'
import { raise, SIGHUP, SIGURG, SIGUSR1, SIGUSR2 } from '../support/signals.js'
import { hasHandler, reportsHandlers } from '../../scripts/lib/system.mjs'

const { STOPPED, EMPTY } = LoopResult

describe('a signal', () => {
  it('C-067: runs the callback in loop(), which may delete its event', () => {
    const base = openBase()
    const calls: unknown[] = []
    const event = base.newSignal('SIGUSR1', (...args) => {
      calls.push(args)
      event.del()
    })
    event.add()
    raise('SIGUSR1')
    expect(base.loop()).toBe(EMPTY)
    expect(calls).toEqual([[SIGUSR1, EV.SIGNAL, event]])
  })

  it('ends the wait of loop()', async () => {
    const base = openBase()
    let calls = 0
    const event = base.newSignal('SIGUSR1', () => {
      calls += 1
      event.close()
    })
    event.add()
    // The process is blocked in loop(), so another process has to send it.
    spawn(process.execPath, ['--eval', `process.kill(${process.pid}, 'SIGUSR1')`])
    expect(base.loop()).toBe(EMPTY)
    expect(calls).toBe(1)
  })

  it('wakes run() repeatedly', async () => {
    const base = openBase()
    let calls = 0
    const event = base.newSignal('SIGUSR1', () => (calls += 1)).add()
    const running = base.run()
    for (let round = 1; round <= 3; round += 1) {
      await sleep(5)
      raise('SIGUSR1')
      await until(() => calls === round)
      expect(calls).toBe(round)
    }
    event.close()
    expect(await running).toBe(EMPTY)
  })

  it('wakes run() when the event is added while it runs', async () => {
    const base = openBase(new EventConfig().setFlags(BaseFlag.NOLOCK))
    const timer = base.newTimer(never).add(60_000)
    const running = base.run()
    await sleep(5)
    let calls = 0
    base.newSignal('SIGUSR1', () => (calls += 1), { persist: false }).add()
    raise('SIGUSR1')
    await until(() => calls === 1)
    expect(calls).toBe(1)
    timer.close()
    expect(await running).toBe(EMPTY)
  })

  it.each([1, 2, 1_000, 70_000])('that arrives %i times runs the callback as often', (times) => {
    const base = openBase()
    let calls = 0
    base.newSignal(SIGUSR1, () => (calls += 1)).add()
    raise('SIGUSR1', times)
    expect(base.loop(LoopFlag.NONBLOCK)).toBe(STOPPED)
    expect(calls).toBe(times)
  })

  it('runs the callback as often in run()', async () => {
    const base = openBase()
    let calls = 0
    const event = base.newSignal(SIGUSR1, () => (calls += 1)).add()
    const running = base.run()
    raise('SIGUSR1', 3_000)
    await until(() => calls === 3_000)
    await sleep(5)
    expect(calls).toBe(3_000)
    event.close()
    expect(await running).toBe(EMPTY)
  })

  it('C-077: that its own callback sends four times runs the callback five times', async () => {
    const base = openBase()
    let calls = 0
    const event = base.newSignal('SIGUSR1', () => {
      calls += 1
      if (calls % 5 !== 0) raise('SIGUSR1')
      else event.del()
    })
    event.add()
    raise('SIGUSR1')
    expect(base.loop()).toBe(EMPTY)
    expect(calls).toBe(5)
    event.add()
    raise('SIGUSR1')
    expect(await base.run()).toBe(EMPTY)
    expect(calls).toBe(10)
  })

  it('C-078: does not run the callback again once it has closed the event', () => {
    const base = openBase()
    let calls = 0
    const event = base.newSignal('SIGUSR1', () => {
      calls += 1
      event.close()
    })
    event.add()
    raise('SIGUSR1', 2)
    expect(base.loop()).toBe(EMPTY)
    expect([calls, event.closed]).toEqual([1, true])
  })

  it('C-069: runs the callback of every event for it, and of no other', () => {
    const base = openBase()
    const order: string[] = []
    base.newSignal('SIGUSR1', () => order.push('one')).add()
    base.newSignal('SIGUSR1', () => order.push('two')).add()
    base.newSignal('SIGUSR2', never).add()
    raise('SIGUSR1')
    base.loop(LoopFlag.NONBLOCK)
    expect(order).toEqual(['one', 'two'])
  })

  it('C-074: is received by two bases', async () => {
    const [one, two] = [openBase(), openBase()]
    const order: string[] = []
    const events = [
      one.newSignal('SIGUSR1', () => order.push('one')).add(),
      two.newSignal('SIGUSR1', () => order.push('two')).add(),
    ]
    raise('SIGUSR1')
    one.loop(LoopFlag.NONBLOCK)
    two.loop(LoopFlag.NONBLOCK)
    expect(order).toEqual(['one', 'two'])
    const running = [one.run(), two.run()]
    raise('SIGUSR1')
    await until(() => order.length === 4)
    expect(order.toSorted()).toEqual(['one', 'one', 'two', 'two'])
    for (const event of events) event.close()
    expect(await Promise.all(running)).toEqual([EMPTY, EMPTY])
  })

  it('is dispatched in the order of priorities', () => {
    const base = openBase(new EventConfig().setPriorities(3))
    const order: string[] = []
    base.newSignal('SIGUSR1', () => order.push('less urgent'), { priority: 2 }).add()
    base.newSignal('SIGUSR2', () => order.push('urgent'), { priority: 0 }).add()
    raise('SIGUSR1')
    raise('SIGUSR2', 2)
    base.loop(LoopFlag.NONBLOCK)
    expect(order).toEqual(['urgent', 'urgent', 'less urgent'])
  })
})

describe('a signal event', () => {
  it.runIf(reportsHandlers)(
    'with persist: false fires once and restores the disposition before its callback',
    () => {
      const base = openBase()
      const seen: unknown[] = []
      const event = base.newSignal('SIGUSR2', () => seen.push(event.pending(), hasHandler(SIGUSR2)), {
        persist: false,
      })
      expect(hasHandler(SIGUSR2)).toBe(false)
      event.add()
      expect(hasHandler(SIGUSR2)).toBe(true)
      raise('SIGUSR2')
      expect(base.loop()).toBe(EMPTY)
      expect(seen).toEqual([0, false])
    },
  )

  it('with persist: false is called for every instance that had arrived', () => {
    const base = openBase()
    let calls = 0
    base.newSignal('SIGUSR1', () => (calls += 1), { persist: false }).add()
    raise('SIGUSR1', 3)
    expect(base.loop()).toBe(EMPTY)
    expect(calls).toBe(3)
  })

  it('C-072: with a timeout expires', () => {
    const base = openBase()
    const calls: number[] = []
    base.newSignal('SIGUSR1', (_, what) => calls.push(what), { persist: false }).add(0.01)
    expect(base.loop(LoopFlag.ONCE)).toBe(STOPPED)
    expect(calls).toEqual([EV.TIMEOUT])
  })

  it('is pending for SIGNAL, counted, and in the list of events', () => {
    const base = openBase()
    const event = base.newSignal('SIGUSR2', never)
    expect(event.pending()).toBe(0)
    event.add()
    expect(event.pending()).toBe(EV.SIGNAL)
    expect(event.pending(EV.READ)).toBe(0)
    expect(base.countEvents(CountFlag.ADDED)).toBe(1)
    const [record] = base.events()
    expect(record).toMatchObject({
      event,
      fd: SIGUSR2,
      what: EV.SIGNAL | EV.PERSIST,
      pending: EV.SIGNAL,
      active: false,
    })
    event.del()
    expect(base.countEvents(CountFlag.ADDED)).toBe(0)
  })

  it('C-062: is activated by activateBySignal() with its number, and with no other', () => {
    const base = openBase()
    const calls: number[][] = []
    base.newSignal('SIGUSR1', (fd, what) => calls.push([fd, what])).add()
    base.newSignal('SIGUSR2', never).add()
    base.newSignal('SIGUSR1', never)
    base.activateBySignal('SIGUSR1').activateBySignal(SIGUSR1)
    for (const number of [-1, 0, 1000, 0x7fff_ffff]) base.activateBySignal(number)
    base.loop(LoopFlag.NONBLOCK)
    expect(calls).toEqual([
      [SIGUSR1, EV.SIGNAL],
      [SIGUSR1, EV.SIGNAL],
    ])
  })

  it('is called as often as activate() specifies', () => {
    const base = openBase()
    const calls: number[] = []
    const event = base.newSignal('SIGUSR1', (_, what) => calls.push(what), { persist: false })
    event.activate(EV.SIGNAL, 3)
    base.loop(LoopFlag.NONBLOCK)
    expect(calls).toEqual([EV.SIGNAL, EV.SIGNAL, EV.SIGNAL])
    event.activate(EV.SIGNAL, 0)
    expect(base.countEvents(CountFlag.ACTIVE)).toBe(0)
    expect(base.loop(LoopFlag.NONBLOCK)).toBe(EMPTY)
    event.activate()
    base.loop(LoopFlag.NONBLOCK)
    expect(calls).toEqual([EV.SIGNAL, EV.SIGNAL, EV.SIGNAL, 0])
  })

  it('that throws leaves the other calls to the next loop', () => {
    const base = openBase()
    let calls = 0
    base
      .newSignal('SIGUSR1', () => {
        calls += 1
        if (calls === 1) throw new Error('thrown in a callback')
      })
      .add()
    raise('SIGUSR1', 3)
    expect(() => base.loop(LoopFlag.NONBLOCK)).toThrow('thrown in a callback')
    expect(calls).toBe(1)
    base.loop(LoopFlag.NONBLOCK)
    expect(calls).toBe(3)
  })

  it('whose id was read works and is found by it', () => {
    const base = openBase()
    let calls = 0
    const event = base.newSignal('SIGUSR2', () => (calls += 1))
    const { id } = event
    event.add()
    raise('SIGUSR2', 2)
    base.loop(LoopFlag.NONBLOCK)
    expect(calls).toBe(2)
    expect(base.events()[0]).toMatchObject({ id, event })
    event.close()
    if (reportsHandlers) expect(hasHandler(SIGUSR2)).toBe(false)
  })

  it('is finalized like any other', () => {
    const base = openBase()
    const order: string[] = []
    const event = base.newSignal('SIGUSR2', () => order.push('signal')).add()
    raise('SIGUSR2')
    base.loop(LoopFlag.NONBLOCK)
    event.finalize(() => order.push('finalizer'))
    if (reportsHandlers) expect(hasHandler(SIGUSR2)).toBe(false)
    expect(base.loop()).toBe(EMPTY)
    expect(order).toEqual(['signal', 'finalizer'])
    expect(event.closed).toBe(true)
  })
})

describe('a base', () => {
  it.runIf(reportsHandlers)('restores every disposition when it is closed', () => {
    const base = openBase()
    base.newSignal('SIGHUP', never).add()
    base.newSignal('SIGUSR2', never).add()
    expect([hasHandler(SIGHUP), hasHandler(SIGUSR2)]).toEqual([true, true])
    base.close()
    expect([hasHandler(SIGHUP), hasHandler(SIGUSR2)]).toEqual([false, false])
  })

  it('reports how it receives signals', () => {
    const expected = openBase().method === 'kqueue' ? 'kqueue_signal' : 'signal'
    const plain = openBase(new EventConfig().setFlags(BaseFlag.IGNORE_ENV))
    expect(plain.signalMethod).toBe(expected)
  })

  it.runIf(process.platform === 'linux')('receives signals through a descriptor with USE_SIGNALFD', () => {
    const base = openBase(new EventConfig().setFlags(BaseFlag.USE_SIGNALFD))
    expect(base.signalMethod).toBe('signalfd_signal')
    let calls = 0
    // SIGURG is ignored by default, on every thread that it arrives at.
    base.newSignal('SIGURG', () => (calls += 1)).add()
    base.activateBySignal('SIGURG')
    base.loop(LoopFlag.NONBLOCK)
    expect(calls).toBe(1)
    if (reportsHandlers) expect(hasHandler(SIGURG)).toBe(false)
  })
})
