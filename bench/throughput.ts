/**
 * Ready events among many idle descriptors, as in libevent's own benchmark: a persistent read event on each pair of
 * sockets, of which a few are readable. Every callback receives a byte and, up to a limit, sends one to the next pair. The
 * time is measured until all bytes are received.
 */
import { EV, LoopFlag } from '../index.js'
import { socket } from '../net.js'
import { benchBase } from './lib/base.js'
import type { Figure } from './lib/figure.js'
import type { SubjectOptions } from './lib/options.js'
import { type Sample, takeTurns } from './lib/rounds.js'
import { expectCount, figures, main } from './lib/subject.js'

/** The number of pairs, of pairs that are active at the start, and of further writes. */
type Shape = readonly [pairs: number, active: number, writes: number]

const SHAPES: readonly Shape[] = [
  [100, 1, 100],
  [1000, 100, 1000],
  [9900, 1000, 20_000],
]
/** A sample repeats the timed part until it has about this number of deliveries. */
const DELIVERIES = 20_000
const POLL = LoopFlag.ONCE | LoopFlag.NONBLOCK

async function measure(shape: Shape, options: SubjectOptions): Promise<Figure[]> {
  using sockets = new Sockets(shape, options)
  const values = await takeTurns([() => sockets.sample()], options)
  return figures(values, {
    subject: 'throughput',
    unit: 'ns per delivery',
    aim: () => ({ kind: 'at-most', of: 'libevent', ratio: 1.25 }),
  })
}

class Sockets {
  readonly #shape: Shape
  readonly #base: ReturnType<typeof benchBase>
  readonly #pairs: readonly (readonly [reader: number, writer: number])[]
  #received = 0
  #sent = 0
  #budget = 0

  constructor(shape: Shape, options: SubjectOptions) {
    this.#shape = shape
    this.#base = benchBase(options)
    this.#pairs = Array.from({ length: shape[0] }, () => socket.pair())
    const next = new Int32Array(Math.max(...this.#pairs.flat()) + 1)
    for (const [index, [reader]] of this.#pairs.entries()) next[reader] = this.#writer(index + 1)
    const buffer = Buffer.alloc(1)
    const byte = Buffer.from('e')
    for (const [reader] of this.#pairs) {
      const event = this.#base.newEvent(reader, EV.READ | EV.PERSIST, (fd) => {
        this.#received += socket.read(fd, buffer)
        if (this.#budget > 0) {
          this.#budget--
          this.#sent += socket.write(next[fd] ?? -1, byte)
        }
      })
      event.add()
    }
  }

  sample(): Sample {
    const [, active, writes] = this.#shape
    const repeats = Math.ceil(DELIVERIES / (active + writes))
    let milliseconds = 0
    for (let repeat = 0; repeat < repeats; repeat++) milliseconds += this.#once()
    return { [`throughput-${this.#shape.join('-')}`]: (milliseconds * 1e6) / repeats / (active + writes) }
  }

  #once(): number {
    const [pairs, active, writes] = this.#shape
    const byte = Buffer.from('e')
    this.#base.loop(POLL)
    for (let index = 0; index < active; index++) {
      socket.write(this.#writer(index * Math.floor(pairs / active)), byte)
    }
    this.#received = 0
    this.#sent = active
    this.#budget = writes
    const start = performance.now()
    while (this.#received < this.#sent) this.#base.loop(POLL)
    const milliseconds = performance.now() - start
    expectCount('deliveries', this.#received, active + writes)
    return milliseconds
  }

  #writer(index: number): number {
    return this.#pairs[index % this.#pairs.length]?.[1] ?? -1
  }

  [Symbol.dispose](): void {
    this.#base.close()
    for (const fd of this.#pairs.flat()) socket.close(fd)
  }
}

await main(async (options) => {
  const all: Figure[] = []
  for (const shape of SHAPES) {
    if (`throughput-${shape.join('-')}`.startsWith(options.only ?? '')) {
      all.push(...(await measure(shape, options)))
    }
  }
  return all
})
