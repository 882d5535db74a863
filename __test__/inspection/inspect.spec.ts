import { inspect } from 'node:util'

import { describe, expect, onTestFinished, test } from 'vitest'

import { EV, EventBase, EventConfig, LoopFlag } from '../../index.js'
import {
  BufferEvent,
  BufferEventGroup,
  ByteQueue,
  connect,
  DatagramBatch,
  listen,
  proxy,
  RateGroup,
  relay,
  socket,
} from '../../net.js'
import { never, openBase, until } from '../support/base.js'
import { closedPort } from '../net/support.js'
import { openPair } from '../support/descriptors.js'

/** The text of an object on one line. */
function shown(value: unknown): string {
  return inspect(value, { breakLength: Infinity, compact: true })
}

describe('a base', () => {
  test('shows its backend, whether it runs, and what it waits for', async () => {
    const base = openBase(new EventConfig().setPriorities(2))
    const { method } = base
    base.newTimer(never).add(60_000)
    const [fd] = openPair()
    const reader = base.newEvent(fd, EV.READ | EV.PERSIST, never).add()
    base.newEvent(-1, 0, () => {}).activate()
    const counts = (running: string): string =>
      `EventBase { method: '${method}', running: ${running}, keepsAlive: true, priorities: 2, pending: 2, active: `
    expect(shown(base)).toBe(`${counts('false')}1 }`)
    let inside = ''
    base.newTimer(() => (inside = shown(base))).add(0)
    base.loop(LoopFlag.NONBLOCK)
    expect(inside).toBe(`${counts("'loop()'")}0 }`)
    expect(shown(base)).toBe(`${counts('false')}0 }`)
    const running = base.run()
    expect(shown(base)).toBe(`${counts("'run()'")}0 }`)
    base.loopBreak()
    await running
    expect(shown(base.unref())).toBe(`${counts('false')}0 }`.replace('true', 'false'))
    reader.close()
    base.close()
    expect(shown(base)).toBe('EventBase { closed: true }')
  })

  test('does not run after an aborted run', async () => {
    const base = openBase()
    base.newTimer(never).add(60_000)
    const abort = new AbortController()
    const running = base.run({ signal: abort.signal })
    await expect(base.run()).rejects.toMatchObject({ code: 'ERR_EVENT_REENTRANT' })
    expect(shown(base)).toContain("running: 'run()'")
    abort.abort(new Error('enough'))
    await expect(running).rejects.toThrow('enough')
    expect(shown(base)).toContain('running: false')
  })

  test('does not run after a callback has thrown', () => {
    const base = openBase()
    base
      .newEvent(-1, 0, () => {
        throw new Error('odd')
      })
      .activate()
    expect(() => base.dispatch()).toThrow('odd')
    expect(shown(base)).toContain('running: false')
  })
})

describe('an event', () => {
  test('on a descriptor shows what it waits for, its callback and its state', () => {
    const base = openBase(new EventConfig().setPriorities(3))
    const [fd, other] = openPair()
    let inside = ''
    const event = base.newEvent(fd, EV.READ | EV.PERSIST, function onBytes() {
      inside = shown(event)
      event.close()
    })
    const parts = `fd: ${fd}, what: 'READ | PERSIST', callback: 'onBytes', priority: 1`
    expect(shown(event)).toBe(`Event { ${parts}, pending: false }`)
    event.add(100_000)
    expect(shown(event)).toMatch(
      /^Event \{ .*, pending: 'TIMEOUT \| READ', expiresIn: (?:100000|99\d{3}) \}$/,
    )
    event.del().add()
    expect(shown(event)).toBe(`Event { ${parts}, pending: 'READ' }`)
    socket.write(other, Buffer.from('x'))
    base.dispatch()
    expect(inside).toBe(`Event { ${parts}, pending: 'READ', running: true }`)
    expect(shown(event)).toBe(`Event { ${parts}, closed: true }`)
  })

  test('for a signal shows the name of the signal', () => {
    const base = openBase()
    const event = base.newSignal('SIGUSR2', () => {}).add()
    const parts = "signal: 'SIGUSR2', what: 'SIGNAL | PERSIST', priority: 0"
    expect(shown(event)).toBe(`Event { ${parts}, pending: 'SIGNAL' }`)
    base.close()
    expect(shown(event)).toBe(`Event { ${parts}, closed: true }`)
  })

  test.runIf(process.platform === 'linux')('for a signal without a name shows its number', () => {
    expect(shown(openBase().newSignal(40, () => {}))).toContain('signal: 40,')
  })

  test('that is a timer shows when it expires, and one that is being finalized shows it', () => {
    const base = openBase()
    const timer = base.newTimer(() => {}, { persist: true })
    expect(shown(timer)).toBe("Event { what: 'PERSIST', priority: 0, pending: false }")
    timer.add(1_000_000)
    expect(shown(timer)).toMatch(
      /^Event \{ what: 'PERSIST', priority: 0, pending: 'TIMEOUT', expiresIn: \d{6,7} \}$/,
    )
    timer.finalize()
    expect(shown(timer)).toContain('finalizing: true')
    base.dispatch()
    expect(shown(timer)).toBe("Event { what: 'PERSIST', priority: 0, closed: true }")
  })

  test('does not get an identity', () => {
    const base = openBase()
    const event = base.newTimer(() => {}).add(1000)
    shown(event)
    expect(event.del().pending()).toBe(0)
    expect(shown(event)).toContain('pending: false')
    expect(base.countEvents(7)).toBe(0)
  })
})

test('a stream shows its descriptor, its queues, its bytes and its failure', () => {
  const base = openBase()
  const [fd, other] = openPair()
  const stream = new BufferEvent(base, fd, { onEvent: () => void base.loopBreak() }).enable(EV.READ)
  stream.write('12345')
  const start = `BufferEvent { fd: ${fd}, enabled: 'READ | WRITE', `
  expect(shown(stream)).toBe(`${start}input: 0, output: 5, bytesRead: 0, bytesWritten: 0, closed: false }`)
  socket.write(other, Buffer.from('123'))
  base.loop(LoopFlag.NONBLOCK)
  expect(shown(stream)).toBe(`${start}input: 3, output: 0, bytesRead: 3, bytesWritten: 5, closed: false }`)
  expect(shown(stream.input)).toBe('ByteQueue { length: 3, chunks: 1 }')
  stream.setFd(-1)
  stream.connect({ host: '127.0.0.1', port: closedPort() })
  expect(shown(stream)).toContain('connecting: true')
  base.dispatch()
  expect(shown(stream)).toContain("error: 'ECONNREFUSED'")
  stream.close()
  expect(shown(stream)).toMatch(/^BufferEvent \{ fd: -1, .*, closed: true \}$/)
})

test('the Duplex of a stream shows its state and not its internals', () => {
  const base = openBase()
  const [fd, other] = socket.pair()
  onTestFinished(() => socket.close(other))
  const duplex = new BufferEvent(base, fd).toDuplex().on('error', () => {})
  const rest = 'readableLength: 0, writableLength: 0, bytesRead: 0, bytesWritten: 0'
  expect(shown(duplex)).toBe(`BufferEventDuplex { fd: ${fd}, ${rest}, destroyed: false }`)
  duplex.destroy(new Error('enough'))
  expect(shown(duplex)).toBe(`BufferEventDuplex { fd: -1, ${rest}, error: 'enough', destroyed: true }`)
})

test('a relay shows its descriptors while it is open, its counters, and why it ended', () => {
  const base = openBase()
  const [[client, a], [b, server]] = [socket.pair(), socket.pair()]
  const made = relay(base, a, b)
  const zero = 'bytesAToB: 0, bytesBToA: 0, heldAToB: 0, heldBToA: 0, bytesSpliced: 0, durationMs: '
  expect(shown(made)).toMatch(
    new RegExp(`^Relay \\{ a: ${a}, b: ${b}, paused: false, closed: false, ${zero}[\\d.]+ \\}$`),
  )
  made.pause()
  expect(shown(made)).toContain('paused: true')
  made.resume()
  socket.write(client, Buffer.from('12345'))
  socket.close(client)
  socket.close(server)
  base.dispatch()
  expect(shown(made)).toMatch(/^Relay \{ reason: '(?:end|error)', closed: true, bytesAToB: \d, /)
  base.close()
  expect(shown(made)).toMatch(/^Relay \{ reason: '(?:end|error)', closed: true, /)
})

test('a listener shows its address, its descriptor and whether it accepts', () => {
  const base = openBase()
  const listener = listen(base, { host: '127.0.0.1', port: 0, paused: true }, () => {})
  const place = `127.0.0.1:${listener.address.port}`
  const { fd } = listener
  expect(shown(listener)).toBe(`Listener { address: '${place}', fd: ${fd}, paused: true, closed: false }`)
  expect(shown(listener.resume())).toContain('paused: false')
  expect(shown(listener.pause())).toContain('paused: true')
  listener.close()
  expect(shown(listener)).toBe(`Listener { address: '${place}', fd: -1, paused: true, closed: true }`)
})

test('a proxy shows its address, its state, its counters and its upstreams', async () => {
  const running = await proxy({
    listen: { host: '127.0.0.1', port: 0 },
    upstream: [
      { host: '127.0.0.1', port: 9 },
      { path: '/run/app.sock', weight: 2 },
    ],
    threads: 1,
  })
  onTestFinished(() => running.close())
  const head = (state: string): string =>
    `TcpProxy { address: '127.0.0.1:${running.address.port}', state: '${state}', threads: 1, ` +
    'accepted: 0, open: 0, refused: 0, failed: 0, timedOut: 0, bytesAToB: 0, bytesBToA: 0, ' +
    "upstreams: [ '127.0.0.1:9 up, 0 open', '/run/app.sock up, 0 open' ] }"
  expect(shown(running)).toBe(head('running'))
  const ended = running.drain()
  expect(shown(running)).toBe(head('ending'))
  await ended
  expect(shown(running)).toBe(head('closed'))
})

test('the other objects of a base show their state', () => {
  const base = openBase()
  const check = base.onCheck(function poll() {})
  const prepare = base.onPrepare(() => {})
  expect(shown(check)).toBe("Watcher { kind: 'check', callback: 'poll', closed: false }")
  expect(shown(prepare)).toBe("Watcher { kind: 'prepare', closed: false }")
  expect(shown(base.commonTimeout(5))).toBe('CommonTimeout { ms: 5 }')
  const remote = EventBase.connect(base.share())
  expect(shown(remote)).toBe('RemoteBase { closed: false }')
  const rates = new RateGroup(base, { rate: 1 })
  const group = new BufferEventGroup(base, { rate: 1 })
  expect(shown(rates)).toBe('RateGroup { members: 0, closed: false }')
  expect(shown(group)).toBe('BufferEventGroup { size: 0, bytesRead: 0, bytesWritten: 0, closed: false }')
  expect(shown(new DatagramBatch())).toBe('DatagramBatch { count: 0, slots: 16, size: 2048 }')
  for (const one of [check, remote, rates, group]) one.close()
  for (const one of [check, remote, rates, group]) expect(shown(one)).toContain('closed: true')
})

/** Every kind of object, on a base of its own. */
function everyKind(base: EventBase): Record<string, object> {
  const [[far, a], [b, remote]] = [socket.pair(), socket.pair()]
  const [fd, other] = socket.pair()
  for (const end of [far, remote, other]) onTestFinished(() => socket.close(end))
  const stream = new BufferEvent(base, fd)
  return {
    base,
    event: base.newTimer(() => {}),
    watcher: base.onCheck(() => {}),
    remote: EventBase.connect(base.share()),
    stream,
    duplex: stream.toDuplex(),
    queue: new ByteQueue(),
    relay: relay(base, a, b),
    listener: listen(base, { host: '127.0.0.1', port: 0 }, () => {}),
    rates: new RateGroup(base, { rate: 1 }),
    group: new BufferEventGroup(base, { rate: 1 }),
    batch: new DatagramBatch(),
  }
}

test('inspecting never throws, whatever the arguments and the object', () => {
  const base = openBase()
  const kinds = everyKind(base)
  for (const object of Object.values(kinds)) inspectsAnything(object)
  const before = Object.values(kinds).map(shown)
  base.close()
  expect(Object.values(kinds).map((object) => nameIn(shown(object)))).toEqual(before.map(nameIn))
})

/** The name of the class. */
function nameIn(text: string): string {
  return text.split(' ')[0] ?? ''
}

function inspectsAnything(object: object): void {
  const custom = inspect.custom in object ? object[inspect.custom] : undefined
  expect(custom).toBeTypeOf('function')
  const call = custom as (this: unknown, ...args: unknown[]) => unknown
  const hostile = new Proxy({}, { get: () => never(), ownKeys: () => never() })
  for (const args of [[], [undefined], [0, hostile, never], [-1, null, null]]) {
    expect(call.apply(object, args)).toBeTypeOf('object')
  }
  for (const self of [Object.create(object), new Proxy(object, {}), {}, null, undefined, 7]) {
    expect(() => inspect(call.call(self))).not.toThrow()
  }
  expect(inspect({ object }, { depth: 0 })).toMatch(/^\{ object: \[[A-Z]\w+\] \}$/)
}

test('inspecting runs no user code: accessors and traps of callbacks, errors and addresses', async () => {
  const base = openBase()
  const callback = Object.defineProperty(() => {}, 'name', { get: never })
  const trapped = new Proxy(() => {}, { get: never, getOwnPropertyDescriptor: never })
  for (const one of [callback, trapped]) {
    expect(shown(base.newTimer(one))).toBe('Event { priority: 0, pending: false }')
  }
  const listener = listen(base, { host: '127.0.0.1', port: 0 }, () => {})
  Object.defineProperty(listener.address, 'host', { get: never })
  expect(shown(listener)).toContain("address: '127.0.0.1:")
  // The reason of an abort is any value.
  const reasons = [
    Object.defineProperties(new Error('odd'), { message: { get: never }, code: { get: never } }),
    new Proxy(new Error('odd'), { get: never, getOwnPropertyDescriptor: never }),
    { [inspect.custom]: never },
  ]
  const texts: string[] = []
  for (const reason of reasons) {
    const stream = new BufferEvent(base, -1)
    const abort = new AbortController()
    stream.connect(
      { host: 'name.test', port: 1 },
      { signal: abort.signal, lookup: () => new Promise(() => {}) },
    )
    abort.abort(reason)
    await until(() => stream.error !== undefined || !stream.connecting, 'the end of the connect')
    texts.push(shown(stream))
  }
  for (const text of texts) expect(text).toMatch(/^BufferEvent \{ fd: -1, /)
})

test('inspecting a base whose connect is in progress changes nothing', async () => {
  const base = openBase()
  const listener = listen(base, { host: '127.0.0.1', port: 0 }, (fd) => {
    socket.close(fd)
    listener.close()
  })
  const connecting = connect(base, listener.address)
  const before = shown(base)
  expect(shown(base)).toBe(before)
  void base.run()
  socket.close(await connecting)
})
