/**
 * The same work under `run()`, inside Node's loop, and under `loop()`: a byte that is passed around a ring of sockets, by
 * one callback for each hop, and user events that activate each other.
 */
import { EV, type Event, type EventBase } from '../index.js'
import { socket } from '../net.js'
import { benchBase } from './lib/base.js'
import type { Figure } from './lib/figure.js'
import type { SubjectOptions } from './lib/options.js'
import { type Sample, type Sampler, takeTurns } from './lib/rounds.js'
import { expectCount, figures, main } from './lib/subject.js'

const RING = 100
/** Bytes in the ring at the same time: with one, every hop is an iteration of the host's loop. */
const TRAVELLERS = [1, 50]
/** Hops in a sample. */
const HOPS = 20_000

await main(async (options) => {
  const all: Figure[] = []
  for (const travellers of TRAVELLERS) {
    all.push(...(await measure(`ring-${RING}-${travellers}`, ring(options, travellers), options)))
  }
  all.push(...(await measure('chain of user events', chain(options), options)))
  return all
})

/** Starts the work; the base's loop ends when it is done. */
interface Task {
  readonly base: EventBase
  start(): void
  check(): void
  close(): void
}

async function measure(name: string, task: Task, options: SubjectOptions): Promise<Figure[]> {
  const sampler =
    (loop: () => unknown): Sampler =>
    async (): Promise<Sample> => {
      task.start()
      const start = performance.now()
      await loop()
      const milliseconds = performance.now() - start
      task.check()
      return { [`run/${name}`]: (milliseconds * 1e6) / HOPS }
    }
  const sides = [sampler(() => task.base.run()), sampler(() => task.base.loop())]
  const values = await takeTurns(sides, options)
  task.close()
  return figures(values, { subject: 'run-against-loop', unit: 'ns per callback', reference: 'loop()' })
}

function ring(options: SubjectOptions, travellers: number): Task {
  const base = benchBase(options)
  const pairs = Array.from({ length: RING }, () => socket.pair())
  const writers = pairs.map(([, writer]) => writer)
  const buffer = Buffer.alloc(1)
  const byte = Buffer.from('e')
  let hops = 0
  let sent = 0
  const events = pairs.map(([reader], index) =>
    base.newEvent(reader, EV.READ | EV.PERSIST, (fd) => {
      hops += socket.read(fd, buffer)
      if (sent < HOPS) {
        sent += socket.write(writers[(index + 1) % RING] ?? -1, byte)
      } else if (hops === HOPS) {
        for (const event of events) event.del()
      }
    }),
  )
  return {
    base,
    start: () => {
      hops = 0
      sent = travellers
      for (const event of events) event.add()
      for (let index = 0; index < travellers; index++) socket.write(writers[index * 2] ?? -1, byte)
    },
    check: () => expectCount('hops', hops, HOPS),
    close: () => {
      base.close()
      for (const fd of pairs.flat()) socket.close(fd)
    },
  }
}

function chain(options: SubjectOptions): Task {
  const base = benchBase(options)
  let calls = 0
  const events: Event[] = [0, 1].map((index) =>
    base.newEvent(-1, 0, () => {
      if (++calls < HOPS) events[1 - index]?.activate(EV.READ)
    }),
  )
  return {
    base,
    start: () => {
      calls = 0
      events[0]?.activate(EV.READ)
    },
    check: () => expectCount('callbacks', calls, HOPS),
    close: () => base.close(),
  }
}
