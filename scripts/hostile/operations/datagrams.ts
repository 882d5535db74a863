// Datagrams in batches.
import { DatagramBatch, socket } from '../../../net.js'
import { someBytes } from '../memory.js'
import { operationsOn } from '../operation.js'
import { complete, options, orNonsense, polluted } from '../values.js'
import type { Operation, World } from '../world.js'
import { checkTampered } from './sockets.js'

const withBatch = operationsOn((world) => world.random.some(world.batches))

const index = (world: World): unknown => orNonsense(world, world.random.below(4))

export const datagrams: readonly Operation[] = [
  {
    name: 'open a datagram socket',
    weight: 2,
    run(world) {
      const { random } = world
      const method = random.pick(['bindDatagram', 'connectDatagram'])
      const known = world.targets.filter((target) => 'port' in target)
      const target =
        method === 'connectDatagram' && known.length > 0 ? random.pick(known) : { host: '127.0.0.1', port: 0 }
      world.handingOver(() => {
        const fd = world.invoke('socket', socket, method, [complete(world, { ...target })])
        if (typeof fd !== 'number') return
        world.own(fd)
        world.keep(world.targets, socket.address(fd))
      })
    },
  },
  {
    name: 'make a batch',
    weight: 1,
    run(world) {
      const given = options(world, {
        slots: world.random.between(1, 8),
        size: world.random.pick([1, 100, 2000]),
      })
      world.keep(
        world.batches,
        world.call('new DatagramBatch', [given], () => new DatagramBatch(given)),
      )
    },
  },
  withBatch('add a datagram', 3, (world, batch) => {
    const to = world.random.some(world.targets)
    const rest = world.random.chance(0.5) && to !== undefined ? [complete(world, { ...to })] : []
    polluted(world, () => world.invoke('batch', batch, 'add', [orNonsense(world, someBytes(world)), ...rest]))
  }),
  withBatch('send datagrams', 3, (world, batch) => {
    const rest = world.random.chance(0.3) ? [index(world), index(world)] : []
    world.invoke('socket', socket, 'sendMany', [world.anyFd(), orNonsense(world, batch), ...rest])
  }),
  withBatch('receive datagrams', 3, (world, batch) => {
    const count = world.invoke('socket', socket, 'receiveMany', [world.anyFd(), orNonsense(world, batch)])
    if (typeof count !== 'number') return
    for (let at = 0; at < Math.min(count, batch.count); at += 1)
      checkTampered(world, 'datagram', batch.bytes(at))
  }),
  withBatch('read a datagram', 2, (world, batch) => {
    const bytes = world.invoke(
      'batch',
      batch,
      world.random.pick(['length', 'truncated', 'bytes', 'address', 'clear']),
      [index(world)],
    )
    // Transferring the memory of a batch must not harm the next call.
    if (bytes instanceof Uint8Array) world.keep(world.buffers, bytes)
    if (world.random.chance(0.05)) world.keep(world.buffers, batch.data)
  }),
]
