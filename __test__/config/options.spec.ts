import { expect, onTestFinished, test } from 'vitest'

import { EV, EventConfig, type EventBase } from '../../index.js'
import {
  BufferEvent,
  BufferEventGroup,
  connect,
  DatagramBatch,
  listen,
  proxy,
  RateGroup,
  relay,
  socket,
} from '../../net.js'
import { never, openBase } from '../support/base.js'

const host = '127.0.0.1'

/** Values of every option that a call takes, with the call. */
type Case = [
  name: string,
  options: Record<string, unknown>,
  call: (base: EventBase, options: never) => unknown,
]

function closeAfter<T extends number>(fd: T): T {
  onTestFinished(() => socket.close(fd))
  return fd
}

/** A relay between two new pairs. */
function startRelay(base: EventBase, options: never): void {
  const [[near, a], [b, far]] = [socket.pair(), socket.pair()]
  for (const fd of [near, far]) closeAfter(fd)
  relay(base, a, b, options)
}

/** Defines a getter for each name on `target`. A getter records its name in `reads`. */
function observeReads(target: object, names: readonly string[], reads: string[]): void {
  for (const name of names) {
    Object.defineProperty(target, name, { configurable: true, get: () => void reads.push(name) })
  }
}

const bind = {
  backlog: 1,
  reusePort: false,
  ipv6Only: undefined,
  transparent: false,
  freeBind: false,
  fastOpen: 0,
  deferAccept: undefined,
  noDelay: true,
  keepAlive: true,
  keepAliveIdle: 1000,
}

const cases: Case[] = [
  ['newTimer', { persist: true, priority: 0 }, (base, options) => base.newTimer(never, options)],
  ['newSignal', { priority: 0 }, (base, options) => base.newSignal('SIGUSR2', never, options)],
  [
    'wait',
    { timeout: 0, signal: undefined },
    (base, options) =>
      void base.wait(socket.pair().map(closeAfter)[0] ?? -1, EV.READ, options).catch(() => {}),
  ],
  [
    'setMaxDispatchInterval',
    { interval: 1, callbacks: 1, minPriority: 0 },
    (_base, options) => new EventConfig().setMaxDispatchInterval(options),
  ],
  ['socket.listen', { host, port: 0, ...bind }, (_base, options) => closeAfter(socket.listen(options))],
  [
    'socket.bindDatagram',
    { host, port: 0, reusePort: false, ipv6Only: false },
    (_base, options) => closeAfter(socket.bindDatagram(options)),
  ],
  [
    'listen',
    { host, port: 0, ...bind, batch: 1, paused: true },
    (base, options) => listen(base, options, never),
  ],
  [
    'connect',
    {
      timeout: 1000,
      attemptDelay: 20,
      localAddress: host,
      localPort: 0,
      transparent: false,
      freeBind: false,
    },
    (base, options) => void connect(base, { host, port: 1 }, options).catch(() => {}),
  ],
  ['the limit of a RateGroup', { rate: 1, burst: 1 }, (base, options) => new RateGroup(base, options)],
  ['DatagramBatch', { slots: 1, size: 1 }, (_base, options) => new DatagramBatch(options)],
  [
    'relay',
    {
      idleTimeout: 1000,
      halfCloseTimeout: 1000,
      connectTimeout: 1000,
      transfer: 'copy',
      limit: undefined,
      group: undefined,
    },
    startRelay,
  ],
  [
    'the prefix of a relay',
    { aToB: Buffer.from('a'), bToA: Buffer.from('b') },
    (base, prefix) => startRelay(base, { prefix } as never),
  ],
  ['the limit of a relay', { rate: 1, burst: 1 }, (base, limit) => startRelay(base, { limit } as never)],
  [
    'proxy',
    {
      threads: 1,
      idleTimeout: 1000,
      halfCloseTimeout: 1,
      maxConnections: 1,
      balance: 'round-robin',
      onProblem: undefined,
      proxyProtocol: 1,
    },
    async (_base, options) => {
      const required = { listen: { host, port: 0 }, upstream: { host, port: 1 } }
      const running = proxy(Object.defineProperties(options, Object.getOwnPropertyDescriptors(required)))
      await (await running).close()
    },
  ],
  [
    'BufferEvent',
    { deferCallbacks: false },
    (base, options) => {
      const [near, far] = socket.pair()
      closeAfter(far)
      new BufferEvent(base, near, options).close()
    },
  ],
  [
    'BufferEvent.connect',
    { timeout: 1000, localPort: 0, deferCallbacks: false },
    (base, options) => void BufferEvent.connect(base, { host, port: 1 }, options).catch(() => {}),
  ],
  [
    'connect() of a BufferEvent',
    { timeout: 1000, attemptDelay: 20, localAddress: host },
    (base, options) => new BufferEvent(base, -1).connect({ host, port: 1 }, options),
  ],
  [
    'the target of connect() of a BufferEvent',
    { host, port: 1 },
    (base, target) => new BufferEvent(base, -1).connect(target, { localAddress: host }),
  ],
  [
    'the limit of a BufferEventGroup',
    { rate: 1, burst: 1 },
    (base, limit) => new BufferEventGroup(base, limit),
  ],
  [
    'the limits of a BufferEventGroup',
    { read: { rate: 1 }, write: { rate: 1 } },
    (base, limits) => new BufferEventGroup(base, limits),
  ],
]

test.each(cases)('%s reads each option once', async (_name, values, call) => {
  const base = openBase()
  const reads: string[] = []
  const options = {}
  for (const [name, value] of Object.entries(values)) {
    const get = (): unknown => {
      reads.push(name)
      return value
    }
    Object.defineProperty(options, name, { enumerable: true, configurable: true, get })
  }
  await call(base, options as never)
  expect(reads.toSorted()).toEqual(Object.keys(values).toSorted())
})

test.each(cases)('%s reads no option from a prototype', async (_name, values, call) => {
  const base = openBase()
  const reads: string[] = []
  const prototype = {}
  const required = ['host', 'port', 'rate', 'read', 'write']
  const own = Object.fromEntries(Object.entries(values).filter(([name]) => required.includes(name)))
  observeReads(prototype, Object.keys(values), reads)
  await call(base, Object.create(prototype, Object.getOwnPropertyDescriptors(own)) as never)
  expect(reads).toEqual([])
})

test.each(cases)('%s reads no option from Object.prototype', async (_name, values, call) => {
  const base = openBase()
  const required = ['host', 'port', 'rate', 'read', 'write']
  const own = Object.fromEntries(Object.entries(values).filter(([name]) => required.includes(name)))
  const names = Object.keys(values).filter((name) => !required.includes(name))
  const reads: string[] = []
  observeReads(Object.prototype, names, reads)
  try {
    await call(base, own as never)
  } finally {
    for (const name of names) Reflect.deleteProperty(Object.prototype, name)
  }
  expect(reads).toEqual([])
})

test('a call without options reads none from Object.prototype', () => {
  const base = openBase()
  const reads: string[] = []
  const names = ['persist', 'priority', 'limit', 'group', 'prefix', 'transfer', 'idleTimeout', 'closeOnFree']
  observeReads(Object.prototype, names, reads)
  try {
    base.newTimer(never)
    startRelay(base, undefined as never)
    new BufferEvent(base, -1).close()
  } finally {
    for (const name of names) Reflect.deleteProperty(Object.prototype, name)
  }
  expect(reads).toEqual([])
})
