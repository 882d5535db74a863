// Buffer events: on descriptors and in pairs, as streams of Node, in groups.
import { EV, type EventBase } from '../../../index.js'
import { BufferEvent, BufferEventGroup, socket } from '../../../net.js'
import { FlowModel } from '../flow-model.js'
import { STREAM_ERRORS } from '../judge.js'
import type { StreamModel } from '../stream-model.js'
import { operationsOn, withBase } from '../operation.js'
import { complete, nonsense, options, orNonsense, polluted } from '../values.js'
import type { Operation, World } from '../world.js'
import { someData } from './queues.js'
import { checkTampered, replaceUnder, someTarget } from './sockets.js'

/** Options of a stream. */
function streamOptions(world: World, base: EventBase, given: Record<string, unknown>): object {
  const { random } = world
  return options(world, {
    onRead: world.callback('onRead', base, (stream: BufferEvent) => {
      if (random.chance(0.7)) readTampered(world, stream)
    }),
    onWrite: world.callback('onWrite', base),
    onEvent: world.callback('onEvent', base),
    readLow: random.pick([0, 0, 10]),
    readHigh: random.pick([0, 0, 100, 20_000]),
    writeLow: random.pick([0, 0, 1000]),
    ...(random.chance(0.3) ? { readTimeout: random.between(0, 3), writeTimeout: random.between(0, 3) } : {}),
    maxSingleRead: random.pick([1, 1000, 16_384, 1_000_000]),
    maxSingleWrite: random.pick([1, 1000, 262_144]),
    deferCallbacks: random.chance(0.3),
    priority: random.below(3),
    ...(random.chance(0.3) ? { limit: someLimit(world) } : {}),
    ...(random.chance(0.3) ? { group: random.some(world.groups) } : {}),
    ...given,
  })
}

function someLimit(world: World): object {
  const { random } = world
  const one = {
    rate: orNonsense(world, random.pick([1000, 100_000, 1e9])),
    burst: orNonsense(world, random.pick([1, 1000, 100_000])),
  }
  return random.chance(0.7) ? complete(world, one) : complete(world, { read: one })
}

function readTampered(world: World, stream: BufferEvent): void {
  const bytes = world.call('stream.read', [], () => stream.read(world.random.pick([undefined, 1, 1000])))
  if (bytes === undefined) return
  checkTampered(world, 'stream.read', bytes)
  world.keep(world.buffers, bytes)
}

function add(world: World, stream: BufferEvent, owns: boolean, isClean = false): StreamModel {
  const model: StreamModel = { stream, owns, isClean }
  world.keep(world.streams, model)
  world.label(stream, 'stream')
  return model
}

/** Makes a stream on a descriptor, which the stream owns. */
function makeStream(world: World, base: EventBase): void {
  const { random } = world
  const given = streamOptions(world, base, random.chance(0.1) ? { closeOnFree: nonsense(world) } : {})
  world.handingOver(() => {
    const fd = random.chance(0.2) ? -1 : (world.fd() ?? -1)
    world.disown(fd)
    const stream = world.call('new BufferEvent', [base, fd, given], () =>
      polluted(world, () => new BufferEvent(base, fd, given)),
    )
    if (stream === undefined) {
      if (fd >= 0) world.own(fd)
    } else {
      add(world, stream, true)
    }
  })
}

/**
 * Makes a stream on a descriptor that this program continues to own, and closes at the end of the episode: the stream
 * would write to whatever has the number next.
 */
function makeBorrower(world: World, base: EventBase): void {
  const fd = world.fd() ?? -1
  // The option must not be left out: the stream would own the descriptor.
  const given = {
    closeOnFree: false,
    onRead: world.callback('onRead', base),
    onEvent: world.callback('onEvent', base),
  }
  const stream = world.call('new BufferEvent', [base, fd, given], () => new BufferEvent(base, fd, given))
  if (stream === undefined) return
  world.reserve(fd)
  add(world, stream, false)
}

function makePair(world: World, base: EventBase): void {
  const given = streamOptions(world, base, {})
  const pair = world.call('BufferEvent.pair', [given], () =>
    polluted(world, () => BufferEvent.pair(base, given)),
  )
  for (const stream of pair ?? []) add(world, stream, true)
}

/** A pair of streams whose bytes are checked. */
function makeCheckedPair(world: World, base: EventBase): void {
  const { random } = world
  const pair = world.call('BufferEvent.pair', ['checked'], () => BufferEvent.pair(base))
  if (pair === undefined) return
  const [one, other] = pair
  addFlows(world, one, other)
  for (const stream of pair) {
    world.call('stream.enable', [], () => stream.enable(EV.READ))
    if (random.chance(0.3))
      world.call('stream.setWatermarks', [], () => stream.setWatermarks({ readHigh: 5000 }))
    if (random.chance(0.3))
      world.call('stream.setLimit', [], () => stream.setLimit({ rate: 1e7, burst: 20_000 }))
  }
}

/** Adds a flow for each direction between two streams. */
function addFlows(world: World, one: BufferEvent, other: BufferEvent): void {
  for (const stream of [one, other]) add(world, stream, true, true)
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    const flow = new FlowModel(world, `${world.nameOf(from)} to ${world.nameOf(to)}`, {
      write(bytes) {
        const accepted = world.call('stream.write', [bytes], () => from.write(bytes))
        return accepted === undefined ? -1 : bytes.length
      },
      read() {
        const bytes = world.random.chance(0.5)
          ? world.call('queue.shift', [], () => to.input.shift())
          : world.call('queue.read', [], () => to.input.read(world.random.pick([1, 100, 70_000])))
        // The bytes belong to the reader, who may do anything with them.
        if (bytes !== undefined) world.keep(world.taken, bytes)
        return bytes === undefined ? undefined : Buffer.from(bytes)
      },
    })
    world.keep(world.flows, flow)
  }
}

/** Two streams on two connected sockets, whose bytes are checked. */
function makeCheckedSockets(world: World, base: EventBase): void {
  world.handingOver(() => {
    const fds = world.call('socket.pair', [], () => socket.pair())
    if (fds === undefined) return
    const streams: BufferEvent[] = []
    for (const fd of fds) {
      const stream = world.call('new BufferEvent', [base, fd], () => new BufferEvent(base, fd))
      if (stream === undefined) world.own(fd)
      else streams.push(stream)
    }
    const [one, other] = streams
    if (one === undefined || other === undefined) return
    addFlows(world, one, other)
    for (const stream of [one, other]) world.call('stream.enable', [], () => stream.enable(EV.READ))
  })
}

const withStream = operationsOn((world) => world.random.some(world.streams.filter(({ isClean }) => !isClean)))

const withFlow = operationsOn((world) => world.random.some(world.flows))
const withGroup = operationsOn((world) => world.random.some(world.groups))

const DIRECTIONS = [EV.READ, EV.WRITE, EV.READ | EV.WRITE] as const

/** Gives a stream another descriptor. */
function replaceDescriptor(world: World, { stream, owns }: StreamModel): void {
  const { random } = world
  world.handingOver(() => {
    const before = stream.fd
    const fd = random.chance(0.3) ? -1 : (world.fd() ?? -1)
    const method = random.pick(['setFd', 'replaceFd'])
    if (owns) world.disown(fd)
    const result = world.invoke('stream', stream, method, [fd])
    if (!owns) {
      if (result !== undefined) world.reserve(fd)
      return
    }
    if (result === undefined) {
      if (fd >= 0) world.own(fd)
    } else if (method === 'setFd' && before >= 0 && before !== fd) {
      world.own(before)
    }
  })
}

function useDuplex(world: World, model: StreamModel): void {
  const { random } = world
  const { stream } = model
  if (model.duplex === undefined) {
    const given = options(world, {
      allowHalfOpen: random.chance(0.5),
      highWaterMark: random.pick([0, 1, 1000, 100_000]),
    })
    const duplex = world.call('stream.toDuplex', [given], () => stream.toDuplex(given), STREAM_ERRORS)
    if (duplex === undefined) return
    model.duplex = duplex
    duplex.on('error', (error) => world.judge.rejected('duplex "error"', error, STREAM_ERRORS))
    for (const name of ['end', 'close', 'timeout', 'connect', 'drain', 'finish'])
      duplex.on(name, world.callback(`duplex "${name}"`, undefined))
    if (random.chance(0.6)) {
      duplex.on('data', (bytes: Buffer) => {
        checkTampered(world, 'duplex "data"', bytes)
        world.keep(world.buffers, bytes)
        world.misbehave()
      })
    }
    return
  }
  const { duplex } = model
  const method = random.pick([
    'write',
    'write',
    'write',
    'end',
    'read',
    'read',
    'pause',
    'resume',
    'destroy',
    'destroySoon',
    'setTimeout',
    'setNoDelay',
    'setKeepAlive',
    'ref',
    'unref',
    'address',
    'cork',
    'uncork',
    'unshift',
  ])
  const args: Record<string, () => unknown[]> = {
    write: () => [orNonsense(world, someData(world)), () => world.misbehave()],
    end: () => (random.chance(0.5) ? [] : [orNonsense(world, someData(world))]),
    read: () => (random.chance(0.5) ? [] : [orNonsense(world, 10)]),
    destroy: () => [],
    setTimeout: () => [
      orNonsense(world, random.pick([0, 1, 3e9])),
      // An emitter of Node reads properties of the function, which a Proxy could answer with anything.
      () => world.misbehave(),
    ],
    setNoDelay: () => [orNonsense(world, true)],
    setKeepAlive: () => [orNonsense(world, true), orNonsense(world, 1000)],
    unshift: () => [Buffer.alloc(3, 'A')],
  }
  const result = world.invoke('duplex', duplex, method, args[method]?.() ?? [], STREAM_ERRORS)
  if (result instanceof Uint8Array) checkTampered(world, 'duplex.read', result)
  world.read(
    'duplex',
    duplex,
    'bytesRead',
    'bytesWritten',
    'remoteAddress',
    'remotePort',
    'localFamily',
    'timeout',
    'pending',
  )
}

export const streams: readonly Operation[] = [
  withBase('make a stream', 5, makeStream),
  withBase('make a stream on a borrowed descriptor', 1, makeBorrower),
  withBase('make a pair', 3, makePair),
  withBase('make a checked pair', 1.5, makeCheckedPair),
  withBase('make checked sockets', 1.5, makeCheckedSockets),
  withFlow('use a flow', 14, (world, flow) => {
    if (world.random.chance(0.5)) flow.write()
    else flow.read()
  }),
  withStream(
    'write to a stream',
    6,
    (world, { stream }) => void world.invoke('stream', stream, 'write', [orNonsense(world, someData(world))]),
  ),
  withStream('read from a stream', 4, (world, { stream }) => readTampered(world, stream)),
  withStream(
    'enable',
    5,
    (world, { stream }) =>
      void world.invoke('stream', stream, world.random.pick(['enable', 'enable', 'disable']), [
        orNonsense(world, world.random.pick(DIRECTIONS)),
      ]),
  ),
  withStream(
    'end',
    1,
    (world, { stream }) =>
      void world.invoke(
        'stream',
        stream,
        'end',
        world.random.chance(0.5) ? [] : [orNonsense(world, someData(world))],
      ),
  ),
  withStream(
    'set the watermarks',
    1,
    (world, { stream }) =>
      void world.invoke('stream', stream, 'setWatermarks', [
        complete(world, {
          readLow: world.random.below(10),
          readHigh: world.random.pick([0, 50, 5000]),
          writeLow: 0,
        }),
      ]),
  ),
  withStream(
    'set the timeouts',
    1,
    (world, { stream }) =>
      void world.invoke('stream', stream, 'setTimeouts', [
        complete(world, { readTimeout: world.random.below(3), writeTimeout: world.random.below(3) }),
      ]),
  ),
  withStream(
    'set the caps',
    0.5,
    (world, { stream }) =>
      void world.invoke('stream', stream, 'setCaps', [
        complete(world, {
          maxSingleRead: world.random.between(1, 5000),
          maxSingleWrite: world.random.between(1, 5000),
        }),
      ]),
  ),
  withStream('set the callbacks', 0.5, (world, { stream }) => {
    const callbacks = complete(world, {
      onRead: () => world.misbehave(),
      onWrite: () => world.misbehave(),
      onEvent: () => world.misbehave(),
    })
    if (stream.closed || world.streams.some((model) => model.stream === stream && model.duplex !== undefined))
      return
    world.invoke('stream', stream, 'setCallbacks', [callbacks])
  }),
  withStream(
    'trigger',
    2,
    (world, { stream }) =>
      void world.invoke('stream', stream, 'trigger', [
        orNonsense(world, world.random.pick(DIRECTIONS)),
        options(world, { ignoreWatermarks: true, defer: world.random.chance(0.5) }),
      ]),
  ),
  withStream(
    'trigger an event',
    0.5,
    (world, { stream }) =>
      void world.invoke('stream', stream, 'triggerEvent', [
        orNonsense(world, world.random.pick([0x10, 0x20, 0x40, 0x80])),
        options(world, { defer: true }),
      ]),
  ),
  withStream(
    'set a limit',
    1,
    (world, { stream }) =>
      void world.invoke('stream', stream, 'setLimit', [
        world.random.chance(0.3) ? undefined : someLimit(world),
      ]),
  ),
  withStream(
    'join a group',
    1,
    (world, { stream }) =>
      void world.invoke('stream', stream, 'joinGroup', [orNonsense(world, world.random.some(world.groups))]),
  ),
  withStream('use a limit', 1, (world, { stream }) => {
    const method = world.random.pick(['limitLeft', 'spendLimit', 'allowance'])
    world.invoke('stream', stream, method, [
      orNonsense(world, world.random.pick([EV.READ, EV.WRITE])),
      orNonsense(world, 10),
    ])
  }),
  withStream(
    'flush',
    1,
    (world, { stream }) =>
      void world.invoke('stream', stream, 'flush', [
        orNonsense(world, world.random.pick(DIRECTIONS)),
        orNonsense(world, world.random.pick(['normal', 'flush', 'finished'])),
      ]),
  ),
  withStream('read a property of a stream', 2, (world, { stream }) =>
    world.read(
      'stream',
      stream,
      'fd',
      'base',
      'partner',
      'connecting',
      'error',
      'stats',
      'enabled',
      'watermarks',
      'timeouts',
      'caps',
      'priority',
      'group',
    ),
  ),
  withStream('set the priority of a stream', 0.5, (world, { stream }) => {
    const priority = orNonsense(world, world.random.below(4)) as number
    world.call('stream.priority=', [priority], () => (stream.priority = priority))
  }),
  withStream('replace the descriptor', 2, replaceDescriptor),
  withStream('replace the descriptor under a stream', 0.5, (world, { stream, owns }) => {
    if (owns) replaceUnder(world, stream.fd)
  }),
  withStream('connect a stream', 2, (world, { stream, owns }) => {
    if (!owns || world.settings.inWorker) return
    world.invoke('stream', stream, 'connect', [
      complete(world, { ...someTarget(world) }),
      options(world, { timeout: world.random.between(1, 5), signal: world.abortSignal() }),
    ])
  }),
  withBase('connect a new stream', 2, (world, base) => {
    if (world.settings.inWorker) return
    const target = complete(world, { ...someTarget(world) })
    const given = streamOptions(world, base, {
      timeout: world.random.between(1, 5),
      signal: world.abortSignal(),
    })
    const promise = world.call('BufferEvent.connect', [base, target, given], () =>
      polluted(world, () => BufferEvent.connect(base, target as never, given)),
    )
    world.track('BufferEvent.connect', promise, { resolved: (stream) => void add(world, stream, true) })
  }),
  withStream('use a duplex', 8, useDuplex),
  withStream('close a stream', 2, (world, { stream }) => void world.invoke('stream', stream, 'close', [])),
  withBase('make a group', 1, (world, base) => {
    const args = [
      orNonsense(world, base),
      someLimit(world),
      options(world, { minShare: world.random.between(1, 100) }),
    ]
    const group = world.call(
      'new BufferEventGroup',
      args,
      () => new BufferEventGroup(...(args as unknown as [EventBase, never])),
    )
    world.keep(world.groups, group)
  }),
  withGroup('use a group', 2, (world, group) => {
    const { random } = world
    const method = random.pick(['setLimit', 'left', 'spend', 'spend', 'resetStats', 'close'])
    const direction = orNonsense(world, random.pick([EV.READ, EV.WRITE]))
    const args =
      method === 'setLimit'
        ? [someLimit(world)]
        : method === 'spend'
          ? [direction, orNonsense(world, 500)]
          : method === 'left'
            ? [direction]
            : []
    world.invoke('group', group, method, args)
    world.read('group', group, 'size', 'stats', 'base')
  }),
]
