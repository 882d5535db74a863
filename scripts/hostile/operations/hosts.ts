// The host around the package: garbage, microtasks, timers, finalizers, and growth.
import { EventBase, LoopFlag } from '../../../index.js'
import { BufferEvent, ByteQueue, relay, socket } from '../../../net.js'
import type { Operation, World } from '../world.js'

/** The world whose hostile code finalizers run. They must not keep the world of an earlier episode alive. */
let current: World | undefined

/** Sets the world of the episode that runs. */
export function enterWorld(world: World | undefined): void {
  current = world
}

/** Runs hostile code when an object was collected. */
const registry: FinalizationRegistry<undefined> = new FinalizationRegistry(() => current?.reenter())

/** Things that are made and ended many times within one callback of a blocking loop. */
const CHURN: Readonly<Record<string, (base: EventBase) => void>> = {
  'ids of events': (base) => {
    const event = base.newTimer(() => {})
    void event.id
    event.close()
  },
  'pending events': (base) => {
    base
      .newTimer(() => {})
      .add(1e6)
      .close()
  },
  streams: (base) => {
    for (const stream of BufferEvent.pair(base)) stream.close()
  },
  queues: () => {
    const queue = new ByteQueue()
    queue.append('AAAA').shift()
  },
  'common timeouts': (base) => {
    base.commonTimeout(7)
  },
  watchers: (base) => {
    base.onCheck(() => {}).close()
  },
  relays: (base) => {
    const [[a, b], [c, d]] = [socket.pair(), socket.pair()]
    relay(base, b, c, { prefix: { aToB: Buffer.from('AAAA') } }).close()
    socket.close(a)
    socket.close(d)
  },
}

/** The number of repetitions, and the number of bytes that each may leave behind. */
const TIMES = 4000
const MOST_BYTES = 120
/** The number of measurements. What is left behind exceeds the limit in each; caches of V8 grow in single ones. */
const ROUNDS = 3

function inUse(): number {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** Repeats something within one job of JavaScript, in which no promise settles, and measures what is left. */
function churn(world: World): void {
  const kind = world.random.pick(Object.keys(CHURN))
  const work = CHURN[kind] as (base: EventBase) => void
  world.call('churn', [kind], () => {
    const base = new EventBase()
    const repeat = (times: number): void => {
      for (let count = 0; count < times; count += 1) {
        // A worker may end here while a pair has no owner.
        world.handingOver(() => work(base))
        // Ends of relays are reported by the loop.
        if (count % 100 === 99) base.loop(LoopFlag.NONBLOCK)
      }
    }
    try {
      repeat(100)
      let least = Infinity
      for (let round = 0; round < ROUNDS && least > TIMES * MOST_BYTES; round += 1) {
        const before = inUse()
        repeat(TIMES)
        least = Math.min(least, inUse() - before)
      }
      if (least > TIMES * MOST_BYTES) {
        world.judge.fault(`${TIMES} ${kind} within one job left ${least} bytes or more, ${ROUNDS} times`)
      }
    } finally {
      base.close()
    }
  })
}

export const hosts: readonly Operation[] = [
  {
    name: 'collect garbage',
    weight: 0.7,
    run(world) {
      world.call('gc', [], () => globalThis.gc?.())
    },
  },
  {
    name: 'schedule',
    weight: 3,
    run(world) {
      const work = (): void => world.reenter()
      switch (world.random.below(4)) {
        case 0:
          queueMicrotask(work)
          break
        case 1:
          process.nextTick(work)
          break
        case 2:
          setImmediate(work)
          break
        default:
          setTimeout(work, 1).unref()
      }
    },
  },
  {
    name: 'register a finalizer',
    weight: 1,
    run(world) {
      const base = world.base()
      if (base === undefined || base.closed) return
      const event = world.call('base.newTimer', [], () => base.newTimer(() => {}))
      if (event === undefined) return
      void world.call('event.id', [], () => event.id)
      registry.register(event, undefined)
    },
  },
  { name: 'churn', weight: 0.15, run: churn },
]
