// A process that runs a range of episodes: `process.ts SEED FIRST LAST LOG FOLDER`. Reports to its parent by messages.
import { ftruncateSync, openSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'

import type { EventBase } from '../../index.js'
import { runEpisode } from './episode.js'
import { Judge } from './judge.js'
import { SIGNALS } from './operations/events.js'
import { Random } from './random.js'
import type { World } from './world.js'

/** A message of this process. */
export type Message =
  | { readonly kind: 'start'; readonly episode: number }
  | {
      readonly kind: 'end'
      readonly episode: number
      readonly operations: number
      readonly calls: readonly (readonly [name: string, accepted: number, rejected: number])[]
      readonly faults: readonly string[]
    }

const [seed = 0, first = 0, last = 0] = process.argv.slice(2, 5).map(Number)
const [, , , , , logPath = '', folder = ''] = process.argv
const log = openSync(logPath, 'a')

/** The signals that listeners of the process have received. */
const heard = new Set<string>()
for (const signal of SIGNALS) process.on(signal, () => void heard.add(signal))

/** Judges errors when they arrive: a list of errors would keep the objects alive that their stacks refer to. */
const outside = new Judge()
process.on('uncaughtException', (error) => outside.rejected('uncaught exception', error))
process.on('unhandledRejection', (error) => outside.rejected('unhandled rejection', error))
// Without its parent nothing judges the episodes.
process.on('disconnect', () => process.exit(0))
// A warning of the package that it is about to retry is no fault.
process.removeAllListeners('warning')

function send(message: Message): Promise<void> {
  return new Promise((resolve) => void process.send?.(message, () => resolve()))
}

/** The bases of earlier episodes, which the garbage collector must find. */
let bases: { episode: number; base: WeakRef<EventBase> }[] = []

async function collect(): Promise<void> {
  for (let round = 0; round < 4; round += 1) {
    await setImmediate()
    globalThis.gc?.()
  }
  await setImmediate()
}

/** Bytes of JavaScript and of buffers. */
function inUse(): number {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** The episode after which memory is compared: caches are full then. */
const WARM = 15
/** The number of bytes that may be left of each episode, and of all of them. */
const EACH = 40_000
const ALL = 4_000_000
let warm: number | undefined
/** Whether too many bytes were in use. The world of an episode may keep some; they are released before the next check. */
let isSuspect = false

/** Milliseconds for which garbage is collected: what compiles in the background keeps objects alive too. */
const PATIENCE = 30_000

/** The episodes before `episode` whose bases still exist. Dereferencing keeps them alive until the end of the job. */
function aliveBefore(episode: number): number[] {
  return bases
    .filter((entry) => entry.episode < episode && entry.base.deref() !== undefined)
    .map((entry) => entry.episode)
}

async function checkMemory(world: World, episode: number): Promise<void> {
  const count = episode - first
  const most = warm === undefined ? Infinity : warm + ALL + EACH * count
  // The world of this episode still exists.
  const { buffers, taken, queues, streams, batches, flows, checks } = world
  for (const list of [buffers, taken, queues, streams, batches, flows, checks]) list.length = 0
  let alive: number[] = []
  let used = 0
  const giveUp = performance.now() + PATIENCE
  do {
    await collect()
    alive = aliveBefore(episode)
    // V8 releases the memory of buffers in the background.
    used = inUse()
  } while ((alive.length > 0 || used > most) && performance.now() < giveUp)
  if (alive.length > 0) world.judge.fault(`bases of the episodes ${alive.join(', ')} are not collected`)
  bases = []
  if (warm === undefined) warm = used
  else if (used <= most) isSuspect = false
  else if (isSuspect) world.judge.fault(`${used - warm} bytes more are in use after ${count} episodes`)
  else isSuspect = true
}

async function run(): Promise<void> {
  for (let episode = first; episode <= last; episode += 1) {
    ftruncateSync(log)
    await send({ kind: 'start', episode })
    const random = new Random(seed, episode)
    const world = await runEpisode(
      {
        random,
        budget: random.pick([30, 100, 300, 300, 1000]),
        inWorker: false,
        log,
        onOwn: () => {},
        onHandOver: () => {},
        folder,
      },
      heard,
    )
    for (const base of world.bases) bases.push({ episode, base: new WeakRef(base) })
    const isDue = isSuspect || (episode - first) % WARM === WARM - 1
    if (isDue && world.judge.faults.length === 0) await checkMemory(world, episode)
    for (const fault of outside.faults.splice(0)) world.judge.fault(fault)
    await send({
      kind: 'end',
      episode,
      operations: world.spent,
      calls: [...world.calls].map(([name, { accepted, rejected }]) => [name, accepted, rejected]),
      faults: world.judge.faults,
    })
    // What a fault has left must not disturb the next episode.
    if (world.judge.faults.length > 0) break
  }
}

try {
  await run()
  process.disconnect()
  process.exit(0)
} catch (error) {
  // A fault of this program, not of the package.
  console.error(error)
  process.exit(1)
}
