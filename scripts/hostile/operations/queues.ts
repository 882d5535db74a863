// Byte queues: their own, and those of streams that are tampered with.
import { ByteQueue } from '../../../net.js'
import { disturb, someBytes } from '../memory.js'
import { nonsense, orNonsense } from '../values.js'
import type { Operation, World } from '../world.js'
import { checkTampered } from './sockets.js'

/** A queue that may be tampered with. */
function someQueue(world: World): ByteQueue {
  const { random } = world
  const stream = random.some(world.streams.filter(({ isClean }) => !isClean))?.stream
  if (stream !== undefined && random.chance(0.6)) return random.chance(0.5) ? stream.input : stream.output
  const queue = random.some(world.queues)
  if (queue !== undefined && random.chance(0.9)) return queue
  const made = new ByteQueue()
  world.keep(world.queues, world.label(made, 'queue'))
  return made
}

/** Data to write to something that is tampered with. */
export function someData(world: World): unknown {
  return world.random.chance(0.2) ? 'A'.repeat(world.random.below(2000)) : someBytes(world)
}

const most = (world: World): unknown[] =>
  world.random.chance(0.6) ? [orNonsense(world, world.random.pick([0, 1, 10, 5000, 100_000]))] : []

/** Checks what a queue returned. */
function taken(world: World, name: string, result: unknown): void {
  if (!(result instanceof Uint8Array)) return
  checkTampered(world, name, result)
  world.keep(world.buffers, result)
}

/** Puts an accessor into the public list of chunks, which transfers the memory of another chunk when it is read. */
function plant(world: World, queue: ByteQueue): void {
  const chunks = world.call('queue.chunks', [], () => queue.chunks)
  const [first, second] = chunks ?? []
  if (first === undefined || second === undefined) return
  Object.defineProperty(chunks, 1, {
    configurable: true,
    enumerable: true,
    get: () => {
      disturb(world, first)
      world.reenter()
      return second
    },
    set(value) {
      Object.defineProperty(chunks, 1, { value, configurable: true, enumerable: true, writable: true })
    },
  })
}

export const queues: readonly Operation[] = [
  {
    name: 'append',
    weight: 5,
    run(world) {
      const method = world.random.pick(['append', 'append', 'prepend'])
      world.invoke('queue', someQueue(world), method, [orNonsense(world, someData(world))])
    },
  },
  {
    name: 'take',
    weight: 5,
    run(world) {
      const method = world.random.pick(['read', 'shift', 'peek', 'drain', 'readLine'])
      const args =
        method === 'shift'
          ? []
          : method === 'readLine'
            ? world.random.chance(0.5)
              ? []
              : [orNonsense(world, 'any')]
            : most(world)
      taken(world, `queue.${method}`, world.invoke('queue', someQueue(world), method, args))
    },
  },
  {
    name: 'search',
    weight: 1,
    run(world) {
      world.invoke('queue', someQueue(world), 'indexOf', [orNonsense(world, 'AA'), ...most(world)])
    },
  },
  {
    name: 'move',
    weight: 2,
    run(world) {
      world.invoke('queue', someQueue(world), 'moveTo', [orNonsense(world, someQueue(world)), ...most(world)])
    },
  },
  {
    name: 'read a property of a queue',
    weight: 1,
    run(world) {
      world.read('queue', someQueue(world), 'length', 'chunks')
    },
  },
  {
    name: 'plant an accessor',
    weight: 1,
    run(world) {
      plant(world, someQueue(world))
    },
  },
  {
    name: 'disturb memory',
    weight: 8,
    run(world) {
      const bytes = world.random.some(world.random.chance(0.5) ? world.buffers : world.taken)
      if (bytes !== undefined) disturb(world, bytes)
    },
  },
  {
    name: 'call a queue with nonsense',
    weight: 0.5,
    run(world) {
      const method = world.random.pick(['append', 'read', 'moveTo', 'indexOf', 'readLine', 'drain'])
      world.invoke('queue', someQueue(world), method, [nonsense(world), nonsense(world)])
    },
  },
]
