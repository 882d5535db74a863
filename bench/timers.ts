/**
 * A million timers compared with Node's: made and added with random durations, cleared in random order, postponed and
 * fired. Timers that fire expire while the thread sleeps, so that the time of firing is measured and not the wait.
 */
import type { Event, EventBase } from '../index.js'
import { benchBase } from './lib/base.js'
import { Random } from './lib/random.js'
import { type Sample, takeTurns } from './lib/rounds.js'
import { expectCount, figures, main } from './lib/subject.js'

/** Durations of timers that are cleared: 10 to 110 minutes, in whole milliseconds, the resolution of Node's timers. */
const FAR = { from: 600_000, range: 6_000_000 }
/** Durations of timers that fire. */
const NEAR = { from: 1, range: 500 }
/** Milliseconds of sleep after the last deadline: more than the resolution of any clock. */
const MARGIN = 50

interface Work {
  readonly count: number
  readonly far: Float64Array
  readonly near: Float64Array
  readonly order: Uint32Array
}

async function ours(base: EventBase, { count, far, near, order }: Work): Promise<Sample> {
  let fired = 0
  const callback = (): void => {
    fired++
  }
  const timers: Event[] = []
  const create = timed(count, () => {
    for (let index = 0; index < count; index++) {
      timers.push(base.newTimer(callback).add(far[index] ?? 0))
    }
  })
  const again = timed(count, () => {
    for (let index = 0; index < count; index++) timers[index]?.add(far[index] ?? 0)
  })
  const clear = timed(count, () => {
    for (let index = 0; index < count; index++) timers[order[index] ?? 0]?.del()
  })
  const add = timed(count, () => {
    for (let index = 0; index < count; index++) timers[index]?.add(far[index] ?? 0)
  })

  for (let index = 0; index < count; index++) timers[index]?.add(near[index] ?? 0)
  sleepUntilDue()
  const loop = timed(count, () => base.loop())
  expectCount('timers fired under loop()', fired, count)

  for (let index = 0; index < count; index++) timers[index]?.add(near[index] ?? 0)
  sleepUntilDue()
  fired = 0
  const start = performance.now()
  await base.run()
  const run = perTimer(start, count)
  expectCount('timers fired under run()', fired, count)

  const close = timed(count, () => {
    for (let index = 0; index < count; index++) timers[order[index] ?? 0]?.close()
  })
  return sample({ create, add, again, clear, close, loop, run })
}

const nothing = (): void => {}

async function nodes({ count, far, near, order }: Work): Promise<Sample> {
  const timers: NodeJS.Timeout[] = []
  const create = timed(count, () => {
    for (let index = 0; index < count; index++) timers.push(setTimeout(nothing, far[index]))
  })
  const again = timed(count, () => {
    for (let index = 0; index < count; index++) timers[index]?.refresh()
  })
  const clear = timed(count, () => {
    for (let index = 0; index < count; index++) clearTimeout(timers[order[index] ?? 0])
  })
  timers.length = 0

  let start = 0
  const fire = await new Promise<number>((resolve) => {
    let fired = 0
    const callback = (): void => {
      if (++fired === count) resolve(perTimer(start, count))
    }
    for (let index = 0; index < count; index++) setTimeout(callback, near[index])
    sleepUntilDue()
    start = performance.now()
  })
  // A Node timer is made and added in one call, and cleared and closed in one.
  return sample({ create, add: create, again, clear, close: clear, loop: fire, run: fire })
}

interface Parts {
  /** Making and adding: `newTimer().add()` against `setTimeout()`. */
  readonly create: number
  /** Adding an idle timer: `add()` against `setTimeout()`. */
  readonly add: number
  /** Postponing a pending timer: `add()` against `refresh()`. */
  readonly again: number
  /** `del()` against `clearTimeout()`. */
  readonly clear: number
  /** Closing: `close()` against `clearTimeout()`. */
  readonly close: number
  /** Firing under `loop()` against Node's own loop. */
  readonly loop: number
  /** Firing under `run()`, which drains microtasks after each callback, as Node does. */
  readonly run: number
}

function sample(parts: Parts): Sample {
  return {
    'ts-timers/create+add': parts.create,
    'ts-timers/add': parts.add,
    'ts-timers/add again': parts.again,
    'ts-timers/clear': parts.clear,
    'ts-timers/close': parts.close,
    'ts-timers/fire, loop()': parts.loop,
    'ts-timers/fire, run()': parts.run,
  }
}

function durations({ from, range }: typeof FAR, count: number): Float64Array {
  const random = new Random(1)
  return Float64Array.from({ length: count }, () => from + random.below(range))
}

function timed(count: number, part: () => void): number {
  const start = performance.now()
  part()
  return perTimer(start, count)
}

function perTimer(start: number, count: number): number {
  return ((performance.now() - start) * 1e6) / count
}

function sleepUntilDue(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, NEAR.from + NEAR.range + MARGIN)
}

await main(async (options) => {
  const count = options.quick ? 100_000 : 1_000_000
  const work: Work = {
    count,
    far: durations(FAR, count),
    near: durations(NEAR, count),
    order: new Random(2).order(count),
  }
  const base = benchBase(options)
  const values = await takeTurns([() => ours(base, work), () => nodes(work)], options, 5)
  base.close()
  return figures(values, {
    subject: 'timers',
    unit: 'ns per timer',
    reference: 'Node',
    aim: () => ({ kind: 'at-most', of: 'Node', ratio: 0.3 }),
  })
})
