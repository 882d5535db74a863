// Mixed traffic with aborts through every kind of proxy: `npm run soak -- --minutes N [--seed S] [--only TEXT]`.
//
// Each subject is a process with a load of its own. The verdict on it: every byte of a transfer that ended in order is
// right; descriptors are those of before the load; memory has not grown between the middle and the end; the process uses
// no processor time while its connections are idle. This process, with all clients and upstreams, is a subject too.
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { EventBase } from '../index.js'
import { addonProblem } from './lib/addon.js'
import { endChildren } from './lib/exit.js'
import { conclude } from './lib/failures.js'
import { decimal, integer } from './lib/options.js'
import { processorSeconds } from './lib/system.mjs'
import { reportOf, type TestResult } from './lib/results.js'
import { demand, main, tool } from './lib/run.js'
import { ConnectionLoad, DatagramLoad, type Load } from './soak/load.js'
import { collect, type Fault } from './soak/program.js'
import { built, subjects, type Running, type Subject } from './soak/subjects.js'
import {
  describe,
  faultsOf,
  MOST_HEAP,
  MOST_PROCESSOR,
  MOST_RESIDENT,
  read,
  type Findings,
  type Reading,
} from './soak/verdict.js'

/** Seconds of load before the first reading, so that code and pools are not counted; at most. */
const WARM_UP = 15
/** Milliseconds in which connections become idle, and for which they are measured. */
const BECOMING_IDLE = 1500
const MEASURED = 2000
/** The number of measurements in which a process has to exceed its share to be one that spins. */
const MEASUREMENTS = 3
/** Milliseconds in which what a process does to its own connections comes to its end. */
const CALMING = 3000

/** A subject that runs. */
interface Part {
  readonly subject: Subject
  readonly running: Running
  readonly load: Load & { close(): void }
  readings: Reading[]
  processor: number
  problems: string[]
}

/** Runs a step for every part. A part whose step fails has a problem, and the others continue. */
async function forEach(parts: readonly Part[], step: (part: Part) => Promise<void> | void): Promise<void> {
  await Promise.all(
    parts.map(async (part) => {
      try {
        await step(part)
      } catch (error) {
        part.problems.push(error instanceof Error ? error.message : String(error))
      }
    }),
  )
}

async function start(base: EventBase, subject: Subject, seed: number): Promise<Part> {
  const fresh = { subject, readings: [], processor: 0, problems: [] }
  if (subject.datagrams === true) {
    const running = await subject.start([])
    return { ...fresh, running, load: new DatagramLoad(base, running, seed) }
  }
  const load = new ConnectionLoad(base, subject, seed)
  const running = await subject.start(load.upstreams)
  return { ...fresh, running, load: load.use(running) }
}

/** This process as a subject. */
function own(parts: readonly Part[]): Part {
  const subject: Subject = { name: 'clients and upstreams', conditions: {}, start: async () => running }
  const running: Running = {
    pid: process.pid,
    entrances: [],
    heap: async () => {
      await collect()
      return process.memoryUsage().heapUsed
    },
    setDisturbed() {},
    plant() {},
    stop: async () => [],
  }
  const load = {
    get moved() {
      const all = parts.map((part) => part.load.moved)
      const sum = (key: 'connections' | 'ended' | 'bytes'): number =>
        all.reduce((total, one) => total + one[key], 0)
      return { connections: sum('connections'), ended: sum('ended'), bytes: sum('bytes'), failures: [] }
    },
    setOn() {},
    openIdle() {},
    async settle() {},
    close() {},
  }
  return { subject, running, load, readings: [], processor: 0, problems: [] }
}

/** Runs the load for some seconds. */
async function run(parts: readonly Part[], seconds: number): Promise<void> {
  await forEach(parts, ({ running, load }) => {
    running.setDisturbed(true)
    load.setOn(true)
  })
  await sleep(seconds * 1000)
}

/** Stops the load, and reads what each process has once everything has ended. */
async function rest(parts: readonly Part[]): Promise<void> {
  await forEach(parts, ({ running, load }) => {
    load.setOn(false)
    running.setDisturbed(false)
  })
  await forEach(parts, ({ load }) => load.settle())
  await sleep(CALMING)
}

/** The processor time that each process uses in some milliseconds, as a share of one processor. */
async function processorShares(parts: readonly Part[]): Promise<Map<Part, number>> {
  const used = (part: Part): number => processorSeconds(part.running.pid)
  const before = new Map<Part, number>()
  await forEach(parts, (part) => void before.set(part, used(part)))
  const from = performance.now()
  await sleep(MEASURED)
  const seconds = (performance.now() - from) / 1000
  const shares = new Map<Part, number>()
  await forEach(parts, (part) => void shares.set(part, (used(part) - (before.get(part) ?? 0)) / seconds))
  return shares
}

/**
 * Measures the processor time of each process while its connections are idle. A process that exceeds its share is
 * measured again: a collection of garbage after the load ends, a loop that spins does not.
 */
async function measureIdle(parts: readonly Part[]): Promise<void> {
  await forEach(parts, ({ load }) => load.openIdle())
  await sleep(BECOMING_IDLE)
  let left = parts
  const least = new Map<Part, number>()
  for (let time = 0; time < MEASUREMENTS && left.length > 0; time += 1) {
    for (const [part, share] of await processorShares(left)) {
      least.set(part, Math.min(share, least.get(part) ?? Infinity))
    }
    left = left.filter((part) => (least.get(part) ?? 0) > MOST_PROCESSOR)
  }
  for (const [part, share] of least) part.processor = Math.max(part.processor, share)
  await forEach(parts, ({ load }) => load.settle())
}

async function takeReadings(parts: readonly Part[]): Promise<void> {
  await forEach(parts, async (part) => {
    part.readings.push(await read(part.running.pid, () => part.running.heap(), part.readings[0]))
  })
}

/** The verdict on a part. A subject with a fault passes if exactly this fault is reported. */
function judge({ subject, readings, processor, problems, load }: Part): TestResult {
  const [before, middle, end] = readings
  const found: Findings | undefined =
    before !== undefined && middle !== undefined && end !== undefined
      ? {
          before,
          middle,
          end,
          isReplaced: subject.isReplaced === true,
          processor,
          moved: load.moved,
          problems,
        }
      : undefined
  const faults = found === undefined ? [{ kind: 'end', text: problems.join('\n') }] : faultsOf(found)
  if (found !== undefined) console.log(describe(subject.name, found))
  for (const { kind, text } of faults) console.log(`  ${kind}: ${text}`)
  const { name, fault } = subject
  if (fault === undefined) {
    return faults.length === 0
      ? { name, outcome: 'passed' }
      : { name, outcome: 'failed', message: faults.map(({ text }) => text).join('\n') }
  }
  const isReported = faults.length > 0 && faults.every(({ kind }) => kind === fault)
  const message = `reported: ${faults.map(({ kind, text }) => `${kind} (${text})`).join('; ') || 'nothing'}`
  return isReported ? { name, outcome: 'passed' } : { name, outcome: 'failed', message }
}

await main(async () => {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '5' },
      seed: { type: 'string', default: '1' },
      only: { type: 'string', default: '' },
    },
  })
  if (process.platform !== 'linux') throw new Error('The soak runs on Linux only: it reads /proc')
  const seconds = 60 * decimal('minutes', values.minutes, 0.1, 10_000)
  const seed = integer('seed', values.seed, 0)
  const chosen = subjects.filter(({ name }) => name.includes(values.only))
  if (chosen.length === 0) throw new Error(`no subject has ${values.only} in its name`)
  const problem = await addonProblem()
  if (problem !== undefined) throw new Error(`${problem}; run: npm run build:native`)
  await demand(tool('tsc'), ['-p', 'scripts/soak/tsconfig.json'])
  console.log(
    `seed ${seed}, ${seconds} s of load; memory may grow by ${MOST_RESIDENT / 2 ** 20} MiB, a heap by ` +
      `${MOST_HEAP / 2 ** 20} MiB, idle processes may use ${MOST_PROCESSOR * 100} % of a processor (programs in ${built})`,
  )

  const base = new EventBase()
  base.newTimer(() => {}, { persist: true }).add(60_000)
  void base.run()
  const parts: Part[] = []
  for (const [index, subject] of chosen.entries()) parts.push(await start(base, subject, seed + index))
  const all = [...parts, own(parts)]

  const warm = Math.min(WARM_UP, seconds / 5)
  await run(parts, warm)
  await rest(parts)
  // Also opens what idle connections need.
  await measureIdle(parts)
  await takeReadings(all)
  for (const part of all) part.processor = 0
  await run(parts, (seconds - warm) / 2)
  await rest(parts)
  await measureIdle(all)
  await takeReadings(all)
  console.log(`the middle: ${all.at(-1)?.load.moved.connections} connections`)
  const plant = (isDue: (fault: Fault) => boolean): void => {
    for (const { subject, running } of parts) {
      if (subject.fault !== undefined && isDue(subject.fault)) running.plant(subject.fault, 2 * MOST_RESIDENT)
    }
  }
  plant((fault) => fault !== 'spin')
  await run(parts, (seconds - warm) / 2)
  await rest(parts)
  // A program that spins for long has garbage too.
  plant((fault) => fault === 'spin')
  await measureIdle(all)
  await takeReadings(all)
  await forEach(parts, async (part) => {
    part.problems.push(...(await part.running.stop()))
    part.load.close()
  })
  endChildren()
  base.close()
  return conclude([reportOf(all.map(judge))])
})
