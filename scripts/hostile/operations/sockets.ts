// Raw descriptors: open, closed, reused, and of every kind.
import { openSync } from 'node:fs'
import { join } from 'node:path'

import { socket } from '../../../net.js'
import { isOpen } from '../../lib/system.mjs'
import { someBytes } from '../memory.js'
import { foreignByte } from '../tape.js'
import { complete, nonsense, options, orNonsense, polluted } from '../values.js'
import type { Operation, World } from '../world.js'

/** The number of descriptors that an episode holds. */
const MOST = 60

const OPTIONS = [
  'noDelay',
  'keepAlive',
  'keepAliveIdle',
  'keepAliveInterval',
  'keepAliveCount',
  'userTimeout',
  'reuseAddress',
  'reusePort',
  'receiveBuffer',
  'sendBuffer',
  'outOfBandInline',
  'ipv6Only',
  'timeToLive',
  'quickAck',
  'cork',
  'unsentLimit',
  'freeBind',
  'fastOpen',
  'deferAccept',
  'bindAddressNoPort',
] as const

let paths = 0

/** An address to listen at. */
export function someAddress(world: World): object {
  const { random } = world
  paths += 1
  return random.pick([
    { host: '127.0.0.1', port: 0 },
    { host: '127.0.0.1', port: 0 },
    { host: '::1', port: 0 },
    { path: join(world.settings.folder, `${paths}.sock`) },
    { path: `\0event-base-hostile-${process.pid}-${paths}` },
  ])
}

/** An address to connect to: mostly one at which something listens. */
export function someTarget(world: World): object {
  const { random } = world
  if (random.chance(0.8) && world.targets.length > 0) return random.pick(world.targets) as object
  return random.pick([
    { host: '127.0.0.1', port: 1 },
    { host: '127.0.0.1', port: 0 },
    { path: join(world.settings.folder, 'missing.sock') },
    { path: '' },
    { host: '0.0.0.0', port: 9 },
  ])
}

/** Makes a descriptor that this program owns. */
export function openSomething(world: World): void {
  if (world.owned.length >= MOST) return
  const { random } = world
  world.handingOver(() => {
    switch (random.below(7)) {
      case 0: {
        const fds = world.call('socket.pipe', [], () => socket.pipe())
        if (fds !== undefined) world.own(...fds)
        break
      }
      case 1: {
        const path = random.pick(['/dev/null', '/dev/zero', world.settings.folder])
        world.own(openSync(path, 'r'))
        break
      }
      case 2: {
        const target = complete(world, { ...someAddress(world), backlog: random.between(0, 5) })
        const fd = world.call('socket.listen', [target], () =>
          polluted(world, () => socket.listen(target as never)),
        )
        if (fd === undefined) break
        world.own(fd)
        world.keep(world.targets, socket.address(fd))
        break
      }
      default: {
        const fds = world.call('socket.pair', [], () => socket.pair())
        if (fds !== undefined) world.own(...fds)
      }
    }
  })
}

/** Checks bytes that arrived from something that is tampered with. */
export function checkTampered(world: World, name: string, bytes: Uint8Array): void {
  const byte = foreignByte(bytes)
  if (byte !== undefined)
    world.judge.fault(`${name}: the byte ${byte} arrived, which was not written to any such stream`)
}

/** Closes a descriptor that this program owns. */
export function closeOwned(world: World, fd: number): void {
  world.handingOver(() => {
    world.disown(fd)
    if (!isOpen(fd)) world.judge.fault(`the descriptor ${fd}, which this program owns, was closed`)
    world.call('socket.close', [fd], () => socket.close(fd))
  })
}

/**
 * Closes a descriptor of the package under it, and opens something else with the same number, which the package closes
 * later.
 */
export function replaceUnder(world: World, fd: number): void {
  if (fd < 0 || world.hasThreads || world.settings.inWorker || !isOpen(fd)) return
  world.note(`replacing descriptor ${fd}`)
  socket.close(fd)
  const extra: number[] = []
  for (let count = 0; count < 500 && !isOpen(fd); count += 1) {
    const [one, other] = socket.pair()
    extra.push(one, other)
  }
  for (const each of extra) if (each !== fd) socket.close(each)
}

export const sockets: readonly Operation[] = [
  { name: 'open', weight: 8, run: openSomething },
  {
    name: 'close a descriptor',
    weight: 3,
    run(world) {
      const fd = world.fd()
      if (fd !== undefined) closeOwned(world, fd)
    },
  },
  {
    name: 'reuse a number',
    weight: 2,
    run(world) {
      const fd = world.fd()
      if (fd === undefined) return
      closeOwned(world, fd)
      world.handingOver(() => {
        const fds = world.call('socket.pair', [], () => socket.pair())
        if (fds !== undefined) world.own(...fds)
      })
    },
  },
  {
    name: 'read',
    weight: 8,
    run(world) {
      const { random } = world
      const fd = world.anyFd()
      const buffer = someBytes(world)
      const method = random.pick(['read', 'read', 'peek'] as const)
      const rest = random.chance(0.3)
        ? [orNonsense(world, random.below(4)), orNonsense(world, random.below(100))]
        : []
      const given = orNonsense(world, buffer)
      const count = world.invoke('socket', socket, method, [orNonsense(world, fd), given, ...rest])
      if (typeof count === 'number' && count > 0 && given === buffer)
        checkTampered(world, `socket.${method}`, buffer)
    },
  },
  {
    name: 'write',
    weight: 8,
    run(world) {
      const { random } = world
      const rest = random.chance(0.3)
        ? [orNonsense(world, random.below(4)), orNonsense(world, random.below(100))]
        : []
      world.invoke('socket', socket, 'write', [
        orNonsense(world, world.anyFd()),
        orNonsense(world, someBytes(world)),
        ...rest,
      ])
    },
  },
  {
    name: 'shut down',
    weight: 1,
    run(world) {
      world.invoke('socket', socket, 'shutdown', [
        world.anyFd(),
        orNonsense(world, world.random.pick(['read', 'write', 'both'])),
      ])
    },
  },
  {
    name: 'accept',
    weight: 2,
    run(world) {
      world.handingOver(() => {
        const fd = world.invoke('socket', socket, 'accept', [orNonsense(world, world.anyFd())])
        if (typeof fd === 'number' && fd >= 0) world.own(fd)
      })
    },
  },
  {
    name: 'connect a socket',
    weight: 3,
    run(world) {
      world.handingOver(() => {
        const target = complete(world, { ...someTarget(world) })
        const given = options(world, { localAddress: '127.0.0.1', localPort: 0 })
        const fd = world.call('socket.connect', [target, given], () =>
          polluted(world, () => socket.connect(target as never, given)),
        )
        if (fd !== undefined) world.own(fd)
      })
    },
  },
  {
    name: 'read an address',
    weight: 2,
    run(world) {
      world.invoke('socket', socket, world.random.pick(['address', 'peer', 'error']), [
        orNonsense(world, world.anyFd()),
      ])
    },
  },
  {
    name: 'set an option',
    weight: 3,
    run(world) {
      const { random } = world
      const value = random.pick<unknown>([true, false, 0, 1, 100, 5000])
      world.invoke('socket', socket, 'setOption', [
        world.anyFd(),
        orNonsense(world, random.pick(OPTIONS)),
        orNonsense(world, value),
      ])
    },
  },
  {
    name: 'read an option',
    weight: 1,
    run(world) {
      world.invoke('socket', socket, 'getOption', [
        world.anyFd(),
        orNonsense(world, world.random.pick([...OPTIONS, 'linger'])),
      ])
    },
  },
  {
    name: 'set the mode',
    weight: 0.5,
    run(world) {
      // Nothing may become blocking, because reading it would block the episode.
      const mode = orNonsense(world, true)
      world.invoke('socket', socket, 'setNonblocking', [world.anyFd(), mode])
    },
  },
  {
    name: 'call with nonsense',
    weight: 1,
    run(world) {
      const method = world.random.pick([
        'listen',
        'connect',
        'bindDatagram',
        'connectDatagram',
        'receiveMany',
        'sendMany',
        'accept',
        'close',
        'address',
      ])
      const result = world.invoke('socket', socket, method, [nonsense(world), nonsense(world)])
      if (typeof result === 'number' && result >= 0) world.own(result)
    },
  },
]
