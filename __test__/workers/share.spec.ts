import { once } from 'node:events'
import { BroadcastChannel, Worker } from 'node:worker_threads'

import { describe, expect, it, onTestFinished } from 'vitest'

import { BaseFlag, EV, EventBase, EventConfig, type Event, LoopResult, type SharedBase } from '../../index.js'
import { listen } from '../../net.js'
import { never, openBase } from '../support/base.js'
import { fixture } from '../support/child.js'
import { openPair } from '../support/descriptors.js'
import { asSystemError, refusal, thrownBy } from '../support/errors.js'
import { collect } from '../support/garbage.js'

/** Long enough for every test, and its end is a failure that shows. */
const LONG = 8_000

interface Named {
  token: SharedBase
  id: number
}

function start(name: string, data: object = {}): Worker {
  const worker = new Worker(fixture('remote.mjs'), { workerData: { name, ...data } })
  onTestFinished(async () => void (await worker.terminate()))
  return worker
}

async function messageOf<T>(worker: Worker): Promise<T> {
  const [message] = (await once(worker, 'message')) as [T]
  return message
}

/** A base with an event for others, kept going by a timer that is not to fire. */
function openShared(callback: (what: number, event: Event) => void): {
  base: EventBase
  event: Event
  named: Named
} {
  const base = openBase()
  const event = base.newEvent(-1, 0, (_fd, what, self) => callback(what, self))
  base.newTimer(never).add(LONG)
  return { base, event, named: { token: base.share(), id: event.id } }
}

describe('another thread', () => {
  it('activates an event of a base that runs inside the host', async () => {
    const calls: number[] = []
    const { base, named } = openShared((what) => {
      calls.push(what)
      base.loopExit()
    })
    const running = base.run()
    start('activating', { ...named, more: 1 })
    expect(await running).toBe(LoopResult.STOPPED)
    expect(calls).toEqual([EV.READ])
  })

  it('activates an event of a base that is blocked in its loop', () => {
    const calls: number[] = []
    const { base, named } = openShared((what) => {
      calls.push(what)
      base.loopExit()
    })
    start('activating', { ...named, more: 1 })
    expect(base.loop()).toBe(LoopResult.STOPPED)
    expect(calls).toEqual([EV.READ])
  })

  it('adds a timer', async () => {
    const { base, named } = openShared((what) => {
      expect(what).toBe(EV.TIMEOUT)
      base.loopExit()
    })
    const running = base.run()
    start('adding a timer', named)
    expect(await running).toBe(LoopResult.STOPPED)
  })

  it('deletes the last event, which ends the loop', async () => {
    const base = openBase()
    const timer = base.newTimer(never).add(LONG)
    const named = { token: base.share(), id: timer.id }
    const running = base.run()
    start('deleting', named)
    expect(await running).toBe(LoopResult.EMPTY)
    expect(timer.pending()).toBe(0)
    start('deleting', named)
    timer.add(LONG)
    expect(base.loop()).toBe(LoopResult.EMPTY)
  })

  it.each(['leaving later', 'breaking'])('stops the loop: %s', async (name) => {
    const { base, named } = openShared(never)
    const running = base.run()
    start(name, named)
    expect(await running).toBe(LoopResult.STOPPED)
    expect([base.gotExit, base.gotBreak]).toEqual([name === 'leaving later', name === 'breaking'])
    start(name, named)
    expect(base.loop()).toBe(LoopResult.STOPPED)
  })

  it('loses none of many activations by several threads', async () => {
    const base = openBase()
    base.newTimer(never).add(LONG)
    const rounds = 2000
    let open = 4
    const counts = new Uint32Array(4)
    const events = [0, 1, 2, 3].map((place) =>
      base.newEvent(-1, 0, () => void (counts[place] = (counts[place] ?? 0) + 1)),
    )
    const running = base.run()
    for (const event of events) {
      const worker = start('activating', { token: base.share(), id: event.id, more: rounds })
      worker.once('message', () => {
        open -= 1
        if (open === 0) setImmediate(() => base.loopExit())
      })
    }
    expect(await running).toBe(LoopResult.STOPPED)
    // Activations of an event that is already active count as one.
    for (const count of counts) {
      expect(count).toBeGreaterThan(0)
      expect(count).toBeLessThanOrEqual(rounds)
    }
  })
})

describe('a token', () => {
  it('is plain data, the same each time, and passes through a port', async () => {
    const { base, named } = openShared((what) => {
      expect(what).toBe(EV.WRITE)
      base.loopExit()
    })
    expect(structuredClone(named.token)).toEqual(base.share())
    expect(Object.getPrototypeOf(named.token)).toBe(Object.prototype)
    const worker = start('connects by a token from a port')
    worker.postMessage(named)
    const running = base.run()
    expect(await messageOf(worker)).toBe('nothing was thrown')
    expect(await running).toBe(LoopResult.STOPPED)
  })

  it('passes through a BroadcastChannel', async () => {
    const { base, named } = openShared((what) => {
      expect(what).toBe(EV.WRITE)
      base.loopExit()
    })
    const name = `event-base ${process.pid}`
    const channel = new BroadcastChannel(name)
    onTestFinished(() => channel.close())
    expect(await messageOf(start('connects by a token from a channel', { more: name }))).toBe('ready')
    channel.postMessage(named)
    expect(await base.run()).toBe(LoopResult.STOPPED)
  })

  it.each([undefined, null, 'name', 7, {}, { eventBase: 7 }, []])('is refused if it is %s', (token) => {
    expect(refusal(() => EventBase.connect(token as unknown as SharedBase))).toBe('ERR_INVALID_ARG_TYPE')
  })

  it.each(['', '1', '1-0000000000000000', 'a'.repeat(100_000)])(
    'that no base issued is refused',
    (eventBase) => {
      openShared(never)
      expect(refusal(() => EventBase.connect({ eventBase }))).toBe('ERR_EVENT_CLOSED')
    },
  )

  it('of a base that was closed is refused', () => {
    const { base, named } = openShared(never)
    base.close()
    expect(refusal(() => EventBase.connect(named.token))).toBe('ERR_EVENT_CLOSED')
    expect(refusal(() => base.share())).toBe('ERR_EVENT_CLOSED')
  })

  it('cannot be made of a base without locks', () => {
    const base = openBase(new EventConfig().setFlags(BaseFlag.NOLOCK))
    expect(refusal(() => base.share())).toBe('ERR_EVENT_BAD_FLAGS')
  })
})

describe('in the same thread', () => {
  it('calls of a remote base have the same effects as calls of the base', () => {
    const order: string[] = []
    const base = openBase()
    const event = base.newEvent(-1, 0, (_fd, what) => order.push(`event ${what}`))
    const timer = base.newTimer((_fd, what) => order.push(`timer ${what}`))
    using remote = EventBase.connect(base.share())
    expect(remote.activate(event.id).add(timer.id, 1)).toBe(remote)
    expect(timer.pending()).toBe(EV.TIMEOUT)
    expect(base.events().map((record) => record.event)).toEqual([timer, event])
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(order).toEqual(['event 0', 'timer 1'])
    remote.add(timer.id, LONG).activate(event.id, EV.WRITE).del(timer.id).del(event.id)
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(order).toHaveLength(2)
  })

  it('a remote base watches a descriptor, and throws the error of the kernel', () => {
    const base = openBase()
    const [left] = openPair()
    const seen: number[] = []
    const writable = base.newEvent(left, EV.WRITE, (_fd, what) => seen.push(what))
    const closed = base.newEvent(987_654, EV.READ, never)
    using remote = EventBase.connect(base.share())
    remote.add(writable.id)
    expect(asSystemError(thrownBy(() => remote.add(closed.id))).code).toBe('EBADF')
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(seen).toEqual([EV.WRITE])
  })

  it('an event that another thread added is kept until it has fired', async () => {
    const base = openBase()
    let calls = 0
    // One id is read before the base is shared, one after; neither event has a reference.
    const before = base.newEvent(-1, 0, () => void (calls += 1)).id
    const remote = EventBase.connect(base.share())
    const after = base.newEvent(-1, 0, () => void (calls += 1)).id
    remote.add(before, 1).add(after, 1)
    await collect()
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(calls).toBe(2)
    await collect()
    remote.activate(before).activate(after)
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(calls).toBe(4)
  })
})

describe('a remote base refuses', () => {
  it('ids of events that do not exist', () => {
    const { base, event, named } = openShared(never)
    const remote = EventBase.connect(named.token)
    const other = openBase().newEvent(-1, 0, never).id + 2 ** 24
    for (const id of [0, other, Number.MAX_SAFE_INTEGER]) {
      expect(refusal(() => remote.activate(id))).toBe('ERR_EVENT_CLOSED')
      expect(refusal(() => remote.add(id, 1))).toBe('ERR_EVENT_CLOSED')
      expect(refusal(() => remote.del(id))).toBe('ERR_EVENT_CLOSED')
    }
    event.close()
    expect(refusal(() => remote.activate(named.id))).toBe('ERR_EVENT_CLOSED')
    expect(base.closed).toBe(false)
  })

  it('ids of the events of listeners', async () => {
    const base = openBase()
    const listener = await listen(base, { host: '127.0.0.1', port: 0 }, never)
    onTestFinished(() => listener.close())
    const [record] = base.events()
    const remote = EventBase.connect(base.share())
    expect(refusal(() => remote.del(record?.id ?? -1))).toBe('ERR_EVENT_CLOSED')
  })

  it.each([-1, 1.5, Number.NaN, 2 ** 53])('%s as an id', (id) => {
    const remote = EventBase.connect(openShared(never).named.token)
    expect(refusal(() => remote.activate(id))).toBe('ERR_OUT_OF_RANGE')
  })

  it('arguments that the base would refuse', () => {
    const { event, named } = openShared(never)
    const remote = EventBase.connect(named.token)
    expect(refusal(() => remote.activate('1' as unknown as number))).toBe('ERR_INVALID_ARG_TYPE')
    expect(refusal(() => remote.activate(named.id, EV.PERSIST))).toBe('ERR_EVENT_BAD_FLAGS')
    expect(refusal(() => remote.add(named.id, -1))).toBe('ERR_OUT_OF_RANGE')
    expect(refusal(() => remote.add(named.id, '1' as unknown as number))).toBe('ERR_INVALID_ARG_TYPE')
    expect(refusal(() => remote.loopExit(-1))).toBe('ERR_OUT_OF_RANGE')
    event.finalize()
    expect(refusal(() => remote.add(named.id, 1))).toBe('ERR_EVENT_FINALIZING')
  })

  it('everything once it is closed, and once the base is', () => {
    const { base, named } = openShared(never)
    const calls = [
      (remote: ReturnType<typeof EventBase.connect>) => remote.activate(named.id),
      (remote: ReturnType<typeof EventBase.connect>) => remote.add(named.id, 1),
      (remote: ReturnType<typeof EventBase.connect>) => remote.del(named.id),
      (remote: ReturnType<typeof EventBase.connect>) => remote.loopExit(),
      (remote: ReturnType<typeof EventBase.connect>) => remote.loopBreak(),
    ]
    const closed = EventBase.connect(named.token)
    closed.close()
    closed[Symbol.dispose]()
    const left = EventBase.connect(named.token)
    for (const call of calls) expect(refusal(() => call(closed))).toBe('ERR_EVENT_CLOSED')
    expect(base.closed).toBe(false)
    base.close()
    for (const call of calls) expect(refusal(() => call(left))).toBe('ERR_EVENT_CLOSED')
  })
})

describe('a worker that ends', () => {
  it('with a remote base leaves the base working', async () => {
    const calls: number[] = []
    const { base, event, named } = openShared((what) => {
      calls.push(what)
      base.loopExit()
    })
    const worker = start('holding', named)
    expect(await messageOf(worker)).toBe('ready')
    const running = base.run()
    await worker.terminate()
    event.activate(EV.READ)
    expect(await running).toBe(LoopResult.STOPPED)
    start('activating', { ...named, more: 1 })
    expect(await base.run()).toBe(LoopResult.STOPPED)
    expect(calls).toEqual([EV.READ, EV.READ])
  })

  it.each(['running', 'blocked in loop'])('with the base closes it for others: %s', async (name) => {
    const worker = start(name)
    const { token, id } = await messageOf<Named>(worker)
    const remote = EventBase.connect(token)
    remote.activate(id, EV.CLOSED)
    expect(await messageOf(worker)).toEqual({ what: EV.CLOSED })
    await worker.terminate()
    expect(refusal(() => remote.activate(id))).toBe('ERR_EVENT_CLOSED')
    expect(refusal(() => remote.loopBreak())).toBe('ERR_EVENT_CLOSED')
    expect(refusal(() => EventBase.connect(token))).toBe('ERR_EVENT_CLOSED')
  })

  it.each(['running', 'blocked in loop'])('may have its loop ended first: %s', async (name) => {
    const worker = start(name)
    const { token } = await messageOf<Named>(worker)
    EventBase.connect(token).loopBreak()
    expect(await messageOf(worker)).toEqual({ result: LoopResult.STOPPED })
  })
})
