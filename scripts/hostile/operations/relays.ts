// Relays, and the groups that limit them.
import type { EventBase } from '../../../index.js'
import { relay, RateGroup, socket, type InternetAddress, type Relay, type RelayEnd } from '../../../net.js'
import { FlowModel } from '../flow-model.js'
import { someBytes } from '../memory.js'
import { operationsOn, withBase } from '../operation.js'
import { complete, options, orNonsense, polluted } from '../values.js'
import type { Operation, World } from '../world.js'

const withRelay = operationsOn((world) => world.random.some(world.relays))
const withEnding = operationsOn((world) => world.random.some(world.endings))
const withRateGroup = operationsOn((world) => world.random.some(world.rateGroups))

function someOptions(world: World): object {
  const { random } = world
  return options(world, {
    idleTimeout: random.pick([0, 1, 3, 1000]),
    connectTimeout: random.pick([0, 1, 1000]),
    transfer: random.pick(['adaptive', 'copy', 'splice']),
    ...(random.chance(0.3)
      ? { limit: complete(world, { rate: random.pick([1000, 1e6]), burst: random.pick([1, 1000, 1e6]) }) }
      : {}),
    ...(random.chance(0.3) ? { group: random.some(world.rateGroups) } : {}),
    ...(random.chance(0.5)
      ? { prefix: options(world, { aToB: someBytes(world), bToA: someBytes(world) }) }
      : {}),
  })
}

/** Whether a relay that was refused has closed its descriptors: `relay` documents who owns them. */
function tookOver(error: unknown): boolean {
  const { code, syscall } = error as { code?: unknown; syscall?: unknown }
  return typeof syscall === 'string' && code !== 'EBADF'
}

/** Starts a relay of two descriptors of this program. */
function start(
  world: World,
  base: EventBase,
  ends: readonly [number, number],
  given: object,
  onEnd: (end: RelayEnd) => void,
): Relay | undefined {
  const [a, b] = ends
  return world.handingOver(() => {
    world.disown(a)
    world.disown(b)
    let isOurs = false
    const made = world.call('relay', [base, a, b, given], () => {
      try {
        return polluted(world, () => relay(base, a, b, given, onEnd))
      } catch (error) {
        isOurs = !tookOver(error)
        throw error
      }
    })
    if (isOurs) world.own(...ends.filter((fd, index) => ends.indexOf(fd) === index))
    world.keep(world.relays, made)
    return made
  })
}

/** A relay of anything. */
function makeRelay(world: World, base: EventBase): void {
  const [a, b] = [world.fd(), world.fd()]
  if (a === undefined || b === undefined) return
  let ends = 0
  const onEnd = world.callback('onEnd', base, () => {
    ends += 1
    if (ends > 1) world.judge.fault('relay: onEnd was called twice')
  })
  start(world, base, [a, b], someOptions(world), onEnd)
}

/** The port of the peer of a TCP socket; `undefined` if the connection was reset. */
function peerPort(fd: number): number | undefined {
  try {
    return (socket.peer(fd) as InternetAddress).port
  } catch {
    return undefined
  }
}

/** Two connected TCP sockets. */
function tcpPair(world: World): [number, number] | undefined {
  const listening = socket.listen({ host: '127.0.0.1', port: 0 })
  try {
    const address = socket.address(listening) as InternetAddress
    const one = socket.connect(address)
    const { port } = socket.address(one) as InternetAddress
    for (let attempt = 0; attempt < 1000; attempt += 1) {
      const other = socket.accept(listening)
      if (other < 0) continue
      if (peerPort(other) === port) return [one, other]
      // A program that knows the number of an earlier listener has connected to it.
      socket.close(other)
    }
    world.note('the connection was not accepted in time')
    socket.close(one)
    return undefined
  } finally {
    socket.close(listening)
  }
}

/** One end of a checked flow. After a failure it transfers nothing more: the system reports a reset once. */
export class End {
  readonly fd: number
  #hasFailed = false

  constructor(fd: number) {
    this.fd = fd
  }

  read(): Uint8Array | undefined {
    const room = Buffer.allocUnsafeSlow(100_000)
    const count = this.#try(() => socket.read(this.fd, room))
    return count < 0 ? undefined : room.subarray(0, count)
  }

  write(bytes: Buffer): number {
    return this.#try(() => socket.write(this.fd, bytes))
  }

  shutdown(): boolean {
    this.#try(() => (socket.shutdown(this.fd, 'write'), 0))
    return !this.#hasFailed
  }

  #try(call: () => number): number {
    if (this.#hasFailed) return -1
    try {
      return call()
    } catch {
      this.#hasFailed = true
      return -1
    }
  }
}

/** A relay between two pairs, whose bytes are checked in both directions. */
function makeCheckedRelay(world: World, base: EventBase): void {
  const { random } = world
  const isTcp = random.chance(0.5)
  const pairs = world.handingOver(() => {
    const made = [isTcp ? tcpPair(world) : socket.pair(), isTcp ? tcpPair(world) : socket.pair()]
    for (const pair of made) if (pair !== undefined) world.own(...pair)
    return made
  })
  const [left, right] = pairs
  if (left === undefined || right === undefined) return
  const [client, a] = left
  const [server, b] = right
  // The outer ends are used by the flows only.
  for (const fd of [client, server]) world.reserve(fd)
  const ends = [new End(client), new End(server)] as const
  const between = (from: End, to: End): FlowModel =>
    new FlowModel(
      world,
      `relay ${from.fd} to ${to.fd}`,
      { write: (bytes) => from.write(bytes), read: () => to.read() },
      isTcp,
    )
  const there = between(ends[0], ends[1])
  const back = between(ends[1], ends[0])
  let last: RelayEnd | undefined
  const given: Record<string, unknown> = { transfer: random.pick(['adaptive', 'copy', 'splice']) }
  if (random.chance(0.2)) given['idleTimeout'] = random.between(1, 20)
  if (random.chance(0.2)) given['limit'] = { rate: 1e7, burst: random.pick([1000, 1e6]) }
  const callback = world.callback('onEnd', base, (end: RelayEnd) => {
    last = end
    world.note(`${world.nameOf(base)}: a checked relay ended: ${JSON.stringify(end)}`)
  })
  const made = start(world, base, [a, b], given, callback)
  if (made === undefined) return
  for (const flow of [there, back]) world.keep(world.flows, flow)
  world.checks.push(() => {
    for (const [flow, key] of [
      [there, 'bytesAToB'],
      [back, 'bytesBToA'],
    ] as const) {
      const reachedEnd = flow.drain()
      if (last === undefined || last.reason !== 'end' || last.error !== undefined) continue
      const { read, written, ended } = flow.tape
      if (!reachedEnd) continue
      if (read !== last[key])
        world.judge.fault(`${flow.name}: ${read} bytes and an end arrived, but ${last[key]} were passed on`)
      if (ended && read !== written)
        world.judge.fault(`${flow.name}: ${read} bytes and an end arrived of ${written}`)
    }
  })
  world.endings.push(() => {
    const index = random.below(2)
    const { tape } = index === 0 ? there : back
    if (!tape.ended) tape.ended = (ends[index] as End).shutdown()
  })
}

export const relays: readonly Operation[] = [
  withBase('relay', 5, makeRelay),
  withBase('relay with checks', 3, makeCheckedRelay),
  withEnding('end a side of a checked relay', 1, (_world, end) => end()),
  withRelay(
    'control a relay',
    4,
    (world, made) =>
      void world.invoke('relay', made, world.random.pick(['pause', 'resume', 'resume', 'close']), []),
  ),
  withRelay('read a property of a relay', 1, (world, made) =>
    world.read('relay', made, 'stats', 'closed', 'paused'),
  ),
  withBase('make a rate group', 1, (world, base) => {
    const limit = complete(world, { rate: world.random.pick([1, 1e6]), burst: world.random.pick([1, 1e6]) })
    const group = world.call(
      'new RateGroup',
      [base, limit],
      () => new RateGroup(orNonsense(world, base) as EventBase, limit as never),
    )
    world.keep(world.rateGroups, group)
  }),
  withRateGroup('use a rate group', 1, (world, group) => {
    if (world.random.chance(0.2)) world.invoke('rateGroup', group, 'close', [])
    else world.invoke('rateGroup', group, 'setLimit', [complete(world, { rate: 1e6, burst: 1e6 })])
    world.read('rateGroup', group, 'members', 'closed')
  }),
]
