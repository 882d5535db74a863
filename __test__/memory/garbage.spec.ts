import { describe, expect, it } from 'vitest'

import { EV, EventBase, LoopFlag, LoopResult } from '../../index.js'
import { BufferEvent, BufferEventGroup, connect, listen, relay, socket } from '../../net.js'
import { anyPort, closedPort, LOOPBACK } from '../net/support.js'
import { openBase } from '../support/base.js'
import { openPair, writeText } from '../support/descriptors.js'
import { collect, collectUntil } from '../support/garbage.js'
import { openDescriptors } from '../../scripts/lib/system.mjs'

/** Weak references to what `make` returns; nothing else refers to it afterwards. */
function forget<T extends WeakKey>(count: number, make: (index: number) => T): WeakRef<T>[] {
  return Array.from({ length: count }, (_, index) => new WeakRef(make(index)))
}

/** An id is a slot and how often it was used. */
function slot(id: number): number {
  return id % 2 ** 24
}

function baseAndEvent(): WeakRef<WeakKey>[] {
  const base = new EventBase()
  return [new WeakRef(base), new WeakRef(base.newTimer(() => {}))]
}

const gone = (refs: readonly WeakRef<WeakKey>[]) => (): boolean =>
  refs.every((ref) => ref.deref() === undefined)

describe('an event without references', () => {
  it('is collected while it is idle', async () => {
    const base = openBase()
    const refs = forget(100, () => base.newTimer(() => {}))
    expect(await collectUntil(gone(refs))).toBe(true)
  })

  it('is collected after it fired', async () => {
    const base = openBase()
    const refs = forget(100, () => base.newTimer(() => {}).add(0))
    base.dispatch()
    expect(await collectUntil(gone(refs))).toBe(true)
  })

  it('is collected after it was deleted', async () => {
    const base = openBase()
    const [left] = openPair()
    const refs = forget(100, () =>
      base
        .newEvent(left, EV.READ, () => {})
        .add(1000)
        .del(),
    )
    expect(await collectUntil(gone(refs))).toBe(true)
  })

  it.each(['without an id', 'whose id was read'])(
    'is collected after removeTimer() made it idle: %s',
    async (kind) => {
      const base = openBase()
      const refs = forget(100, () => {
        const event = base.newTimer(() => {}).add(60_000)
        if (kind === 'whose id was read') void event.id
        return event.removeTimer()
      })
      expect(await collectUntil(gone(refs))).toBe(true)
    },
  )

  it('still fires while it is pending or active', async () => {
    const base = openBase()
    const [left, right] = openPair()
    const fired: string[] = []
    forget(1, () => base.newTimer(() => fired.push('timer')).add(1))
    forget(1, () => base.newEvent(left, EV.READ, () => fired.push('read')).add())
    forget(1, () => base.newEvent(-1, 0, () => fired.push('user')).activate())
    await collect()
    writeText(right, 'x')
    base.dispatch()
    expect(fired.toSorted()).toEqual(['read', 'timer', 'user'])
  })

  it('and whose id was read frees its slot', async () => {
    const base = openBase()
    const makeNamed = (): number[] => {
      const slots: number[] = []
      forget(1000, () => {
        const event = base.newTimer(() => {})
        slots.push(slot(event.id))
        return event
      })
      return slots
    }
    // Slots are taken again: of the thirty thousand, few are in use at a time, however late finalizers are.
    let highest = 0
    for (let round = 0; round < 30; round += 1) {
      highest = Math.max(highest, ...makeNamed())
      await collect()
    }
    expect(highest).toBeLessThan(15_000)
  })

  it('and whose id was read still fires while it is pending', async () => {
    const base = openBase()
    let fired = 0
    forget(1, () => {
      const event = base.newTimer(() => (fired += 1))
      return event.id >= 0 ? event.add(1) : event
    })
    await collect()
    base.dispatch()
    expect(fired).toBe(1)
  })
})

describe('the abort signal, which a base does not keep,', () => {
  const settled: [string, (base: EventBase, signal: AbortSignal) => Promise<unknown>][] = [
    ['of a run that has ended', (base, signal) => base.run({ signal })],
    [
      'of a wait that was successful',
      (base, signal) => Promise.all([base.wait(openPair()[0], EV.WRITE, { signal }), base.run()]),
    ],
    [
      'of a wait that was refused',
      (base, signal) => base.wait(2 ** 30, EV.READ, { signal }).catch(() => undefined),
    ],
    [
      'of an iterable that was closed',
      async (base, signal) => {
        await base.watch(openPair()[0], EV.READ, { signal }).return?.()
      },
    ],
    [
      'of a connect to a name without an address',
      async (base, signal) => {
        const options = { signal, lookup: () => Promise.resolve([]), timeout: 3_600_000 }
        await connect(base, { host: 'name.test', port: 1 }, options).catch(() => undefined)
        // The timer of the look-up was closed.
        expect(base.loop(LoopFlag.NONBLOCK)).toBe(LoopResult.EMPTY)
      },
    ],
    [
      'of a connect that has failed',
      (base, signal) => {
        const target = { host: LOOPBACK, port: closedPort() }
        return Promise.all([connect(base, target, { signal }).catch(() => undefined), base.run()])
      },
    ],
  ]

  it.each(settled)('%s is collected', async (_what, settle) => {
    const base = openBase()
    const forgetSignal = async (): Promise<WeakRef<WeakKey>> => {
      const { signal } = new AbortController()
      await settle(base, signal)
      return new WeakRef(signal)
    }
    const refs = [await forgetSignal(), await forgetSignal()]
    expect(await collectUntil(gone(refs))).toBe(true)
    expect(base.closed).toBe(false)
  })
})

function closeEvent(base: EventBase): WeakKey {
  const event = base.newTimer(() => {})
  expect(event.id).toBeGreaterThanOrEqual(0)
  event.close()
  return event
}

describe('a base does not keep', () => {
  const closed: [string, (base: EventBase) => WeakKey | Promise<WeakKey>][] = [
    ['an event that was closed and whose id was read', (base) => closeEvent(base)],
    [
      'an event that was closed and that other threads could use',
      (base) => {
        base.share()
        return closeEvent(base)
      },
    ],
    [
      'an event that was finalized, and its finalizer',
      (base) => {
        const event = base.newTimer(() => {})
        // The finalizer refers to the event.
        event.finalize(() => void event)
        base.dispatch()
        return event
      },
    ],
    [
      'a watcher that was closed',
      (base) => {
        const watcher = base.onPrepare(() => {})
        watcher.close()
        return watcher
      },
    ],
    [
      'a listener that was closed',
      (base) => {
        const listener = listen(base, anyPort, () => {})
        listener.close()
        return listener
      },
    ],
    [
      'a relay that has ended',
      async (base) => {
        const made = relay(base, ...socket.pair())
        made.close()
        await base.run()
        return made
      },
    ],
    [
      'a buffer event that was closed',
      (base) => {
        const stream = new BufferEvent(base, openPair()[0], { closeOnFree: false }).enable(EV.READ)
        stream.setTimeouts({ readTimeout: 60_000, writeTimeout: 60_000 })
        stream.close()
        return stream
      },
    ],
    [
      'a stream of Node that was destroyed',
      async (base) => {
        const stream = new BufferEvent(base, openPair()[0], { closeOnFree: false }).toDuplex()
        await new Promise((resolve) => stream.destroy().once('close', resolve))
        return stream
      },
    ],
    [
      'a group that was closed, and its member',
      (base) => {
        const group = new BufferEventGroup(base, { rate: 1 })
        const member = new BufferEvent(base, openPair()[0], { closeOnFree: false, group })
        group.close()
        member.close()
        return group
      },
    ],
  ]

  it.each(closed)('%s', async (_what, close) => {
    const base = openBase()
    const forgetOne = async (): Promise<WeakRef<WeakKey>> => new WeakRef(await close(base))
    const refs = [await forgetOne(), await forgetOne()]
    expect(await collectUntil(gone(refs))).toBe(true)
    expect(base.closed).toBe(false)
  })
})

describe('a base without references', () => {
  it('is collected with its pending events, and its descriptors are closed', async () => {
    const before = openDescriptors()
    const [left] = openPair()
    const events: WeakRef<WeakKey>[] = []
    const bases = forget(20, () => {
      const base = new EventBase()
      events.push(new WeakRef(base.newEvent(left, EV.READ | EV.PERSIST, () => base.loopExit()).add(60_000)))
      events.push(new WeakRef(base.newTimer(() => base.loopExit()).add(60_000)))
      base.loop(LoopFlag.NONBLOCK)
      return base
    })
    expect(openDescriptors()).toBeGreaterThanOrEqual(before + 2 + 20)
    expect(await collectUntil(() => gone(bases)() && gone(events)() && openDescriptors() <= before + 2)).toBe(
      true,
    )
  })

  it('is not collected while it runs', async () => {
    let fired = false
    const start = (): Promise<LoopResult> => {
      const base = new EventBase()
      base.newTimer(() => (fired = true)).add(30)
      return base.run()
    }
    const running = start()
    await collect()
    expect(await running).toBe(LoopResult.EMPTY)
    expect(fired).toBe(true)
  })

  it('is collected after it ran', async () => {
    const before = openDescriptors()
    const bases: WeakRef<WeakKey>[] = []
    const start = (): Promise<LoopResult> => {
      const base = new EventBase()
      bases.push(new WeakRef(base))
      base.newTimer(() => {}).add(0)
      return base.run()
    }
    await Promise.all(Array.from({ length: 10 }, start))
    expect(await collectUntil(() => gone(bases)() && openDescriptors() <= before)).toBe(true)
  })

  it('is collected although an idle event refers to it', async () => {
    expect(await collectUntil(gone(baseAndEvent()))).toBe(true)
  })
})
