import { describe, expect, it } from 'vitest'

import { EV, LoopFlag, LoopResult, type EventBase, type Watcher } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { openPair, writeText } from '../support/descriptors.js'
import { refusal, thrownBy } from '../support/errors.js'

describe('prepare and check watchers of a blocking loop', () => {
  it('C-094: are called around each wait, in the order of making, until they are closed', () => {
    const base = openBase()
    const order: string[] = []
    const waits: (number | undefined)[] = []
    base.onCheck(() => order.push('check 1'))
    base.onPrepare((wait) => {
      waits.push(wait)
      order.push('prepare 1')
    })
    const second = base.onPrepare(() => order.push('prepare 2'))
    base.onCheck((watcher) => {
      order.push('check 2')
      watcher.close()
    })
    base
      .newTimer(() => {
        order.push('a')
        second.close()
        base.newTimer(() => order.push('b')).add(100)
      })
      .add(100)
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(order.join(', ')).toBe('prepare 1, prepare 2, check 1, check 2, a, prepare 1, check 1, b')
    expect(waits).toHaveLength(2)
    for (const wait of waits) expect(wait).toBeLessThanOrEqual(100)
    expect(Math.max(...waits.map(Number))).toBeGreaterThan(0)
  })

  it('C-095: get no time without a deadline, and 0 when the loop does not wait', () => {
    const base = openBase()
    const waits: (number | undefined)[] = []
    base.onPrepare((wait) => waits.push(wait))
    base.dispatch()
    expect(waits).toEqual([])
    const [left, right] = openPair()
    const reader = base.newEvent(left, EV.READ, () => {}).add()
    writeText(right, 'x')
    base.loop(LoopFlag.ONCE)
    reader.add()
    base.loop(LoopFlag.NONBLOCK)
    base.newEvent(-1, 0, () => {}).activate()
    base.loop(LoopFlag.ONCE)
    expect(waits).toEqual([undefined, 0, 0])
  })

  it('may add a timer, which shortens the wait', () => {
    const base = openBase()
    const order: string[] = []
    const late = base.newTimer(never).add(60_000)
    base.onPrepare((_, watcher) => {
      watcher.close()
      base
        .newTimer(() => {
          order.push('early')
          late.del()
        })
        .add(5)
    })
    base.dispatch()
    expect(order).toEqual(['early'])
  })

  it('may close themselves and each other, any number of times', () => {
    const base = openBase()
    const order: string[] = []
    const watchers: Watcher[] = []
    const make = (name: string, ...closed: number[]): void => {
      watchers.push(
        base.onPrepare((_, watcher) => {
          order.push(name)
          expect(watcher).toBe(watchers[Number(name)])
          for (const index of closed) {
            watchers[index]?.close()
            watchers[index]?.[Symbol.dispose]()
            expect(watchers[index]?.closed).toBe(true)
          }
        }),
      )
    }
    make('0')
    make('1', 0, 1, 2)
    make('2')
    make('3')
    base.newTimer(() => base.newTimer(() => {}).add(1)).add(1)
    base.dispatch()
    expect(order).toEqual(['0', '1', '3', '3'])
  })

  it('made by one of them are called from the next pass on', () => {
    const base = openBase()
    const order: string[] = []
    base.onPrepare((_, watcher) => {
      order.push('first')
      watcher.close()
      base.onPrepare(() => order.push('second'))
    })
    base
      .newTimer(() => {
        order.push('a')
        base.newTimer(() => order.push('b')).add(1)
      })
      .add(1)
    base.dispatch()
    expect(order).toEqual(['first', 'a', 'second', 'b'])
  })

  it.each(['onPrepare', 'onCheck'] as const)('may close the base: %s', (kind) => {
    const base = openBase()
    let count = 0
    const watcher = base[kind](() => {
      count += 1
      base.close()
    })
    base[kind](never)
    base.newTimer(never).add(0)
    expect(base.dispatch()).toBe(LoopResult.STOPPED)
    expect(count).toBe(1)
    expect(watcher.closed).toBe(true)
    watcher.close()
  })

  it.each(['onPrepare', 'onCheck'] as const)('may end the loop: %s', (kind) => {
    const base = openBase()
    const watcher = base[kind](() => base.loopBreak())
    let fired = false
    base.newTimer(() => (fired = true)).add(0)
    expect(base.dispatch()).toBe(LoopResult.STOPPED)
    expect(fired).toBe(false)
    watcher.close()
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(fired).toBe(true)
  })

  it.each(['onPrepare', 'onCheck'] as const)(
    'may throw, which ends the loop and loses nothing: %s',
    (kind) => {
      const base = openBase()
      const error = new Error('mine')
      let times = 2
      const order: string[] = []
      base[kind](() => {
        order.push('thrower')
        times -= 1
        if (times >= 0) throw error
      })
      base.onCheck(() => order.push('check'))
      base.newTimer(() => order.push('timer')).add(0)
      expect(thrownBy(() => base.dispatch())).toBe(error)
      expect(thrownBy(() => base.dispatch())).toBe(error)
      expect(base.runningEvent).toBe(undefined)
      expect(base.dispatch()).toBe(LoopResult.EMPTY)
      expect(order).toEqual(['thrower', 'thrower', 'thrower', 'check', 'timer'])
    },
  )

  it('cannot enter the loop, and are not called while an event runs', () => {
    const base = openBase()
    const seen: unknown[] = []
    base.onPrepare(() => {
      seen.push(
        refusal(() => base.loop()),
        base.runningEvent,
      )
    })
    base.newTimer(() => base.newTimer(() => {}).add(1)).add(1)
    base.dispatch()
    expect(seen).toEqual(['ERR_EVENT_REENTRANT', undefined, 'ERR_EVENT_REENTRANT', undefined])
  })

  it('do not keep the loop from being empty, and are closed with the base', () => {
    const base = openBase()
    const watchers = [base.onPrepare(never), base.onCheck(never)]
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    base.close()
    expect(watchers.map((watcher) => watcher.closed)).toEqual([true, true])
    watchers.forEach((watcher) => watcher.close())
  })

  it.each(['onPrepare', 'onCheck'] as const)('need a callback and an open base: %s', (kind) => {
    const base = openBase()
    for (const callback of [undefined, null, 1, {}]) {
      expect(refusal(() => base[kind](callback as never))).toBe('ERR_INVALID_ARG_TYPE')
    }
    const closed: EventBase = openBase()
    closed.close()
    expect(refusal(() => closed[kind](never))).toBe('ERR_EVENT_CLOSED')
  })
})
