// Random calls of the whole package, with hostile arguments and from hostile places:
// `npm run hostile -- [--seed S] [--seconds N] [--jobs J]`, or `--episode K` or `--episode K-L` to repeat episodes.
import { fork } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { describeHang } from './hostile/hang.js'
import type { Message } from './hostile/process.js'
import { endWithThis, removeFolder, temporaryFolder } from './lib/exit.js'
import { conclude } from './lib/failures.js'
import { integer, MOST_JOBS } from './lib/options.js'
import type { TestResult } from './lib/results.js'
import { main } from './lib/run.js'

/** The number of episodes that one process runs. */
const BATCH = 60
/** Milliseconds after which an episode hangs: long, so that a busy machine does not take them. */
const WATCHDOG = 120_000
/** The number of failures after which the run ends. */
const MOST_FAILURES = 20
/** The number of lines of the log that are printed for a failure. */
const LINES = 80

interface Range {
  readonly first: number
  readonly last: number
}

/** The result of a range of episodes: how many have passed, and what failed. */
interface Outcome {
  passed: number
  failure?: { readonly episode: number; readonly faults: readonly string[]; readonly log: string }
}

class Totals {
  operations = 0
  readonly calls: Map<string, [accepted: number, rejected: number]> = new Map()

  add({ operations, calls }: Extract<Message, { kind: 'end' }>): void {
    this.operations += operations
    for (const [name, accepted, rejected] of calls) {
      const sum = this.calls.get(name) ?? [0, 0]
      this.calls.set(name, [sum[0] + accepted, sum[1] + rejected])
    }
  }

  print(): void {
    const all = [...this.calls.values()]
    const [accepted, rejected] = [0, 1].map((index) =>
      all.reduce((total, counts) => total + (counts[index] ?? 0), 0),
    )
    console.log(`${this.operations} operations: ${accepted} calls accepted, ${rejected} rejected`)
    const areas = new Map<string, [number, number]>()
    for (const [name, counts] of this.calls) {
      const area = name.replace(/^new /, '').replace(/\..*/, '')
      const sum = areas.get(area) ?? [0, 0]
      areas.set(area, [sum[0] + counts[0], sum[1] + counts[1]])
    }
    console.log([...areas].map(([name, counts]) => `${name} ${counts.join('/')}`).join(', '))
  }
}

const never = (): boolean => false

/** Runs episodes in a process of their own, until one fails or `isOver` returns true. */
function runProcess(seed: number, range: Range, totals: Totals, isOver: () => boolean): Promise<Outcome> {
  const folder = temporaryFolder('hostile')
  const log = join(folder, 'log')
  writeFileSync(log, '')
  const program = join(import.meta.dirname, 'hostile', 'process.ts')
  const args = [...[seed, range.first, range.last].map(String), log, folder]
  const child = endWithThis(
    fork(program, args, {
      execArgv: [...process.execArgv, '--expose-gc'],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    }),
  )
  return new Promise((resolve, reject) => {
    const outcome: Outcome = { passed: 0 }
    let output = ''
    let running: number | undefined
    let isStopped = false
    let hang: string | undefined
    const endHanging = async (): Promise<void> => {
      hang = await describeHang(child.pid as number)
      child.kill('SIGKILL')
    }
    const watch = (): NodeJS.Timeout => setTimeout(() => void endHanging(), WATCHDOG)
    let watchdog = watch()
    const fail = (episode: number, faults: readonly string[]): void => {
      outcome.failure ??= { episode, faults, log: readFileSync(log, 'utf8') }
    }
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-20_000)))
    }
    child.on('message', (message: Message) => {
      clearTimeout(watchdog)
      watchdog = watch()
      if (message.kind === 'start') {
        running = message.episode
        return
      }
      running = undefined
      totals.add(message)
      const faults = [...message.faults]
      if (output.includes('panicked at')) faults.push(`a panic of native code: ${output}`)
      if (faults.length > 0) {
        fail(message.episode, faults)
      } else {
        outcome.passed += 1
      }
      if (faults.length > 0 || isOver()) {
        isStopped = true
        child.kill('SIGKILL')
      }
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(watchdog)
      if (!isStopped && (running !== undefined || code !== 0)) {
        const how =
          hang === undefined
            ? `the process ended with ${signal ?? code}`
            : `no end after ${WATCHDOG / 1000} s: ${hang}`
        fail(running ?? range.first, [`${how}\n${output.trimEnd()}`])
      }
      removeFolder(folder)
      resolve(outcome)
    })
  })
}

function report(seed: number, { first, last }: Range, failure: NonNullable<Outcome['failure']>): TestResult {
  const which = first === last ? `${last}` : `${first}-${last}`
  const command = `npm run hostile -- --seed ${seed} --episode ${which}`
  const name = `episode ${failure.episode} of the seed ${seed}`
  const lines = failure.log.trimEnd().split('\n')
  console.log(`\nFAIL ${name}; repeat it with: ${command}`)
  console.log(`${lines.slice(-LINES).join('\n')}\n${failure.faults.join('\n')}\n`)
  return { name, outcome: 'failed', message: `${command}\n${failure.faults.join('\n')}` }
}

function rangeOf(text: string): Range {
  const [first = '', last = first] = text.split('-')
  return { first: integer('episode', first, 0), last: integer('episode', last, 0) }
}

await main(async () => {
  if (process.platform !== 'linux')
    throw new Error('The hostile sequences run on Linux only: they read /proc')
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      seconds: { type: 'string', default: '60' },
      jobs: { type: 'string', default: '2' },
      episode: { type: 'string' },
    },
  })
  const seed = integer('seed', values.seed, 0)
  const seconds = integer('seconds', values.seconds, 1)
  const jobs = integer('jobs', values.jobs, 1, MOST_JOBS)
  const totals = new Totals()
  const results: TestResult[] = []
  let passed = 0

  /** Runs a failed episode alone. If it passes then, an earlier episode of the process has taken part. */
  const judge = async (range: Range, failure: NonNullable<Outcome['failure']>): Promise<void> => {
    const alone = { first: failure.episode, last: failure.episode }
    const again = await runProcess(seed, alone, new Totals(), never)
    const repeats = again.failure !== undefined
    if (!repeats)
      console.log(`episode ${failure.episode} fails only sometimes, or only after earlier episodes`)
    results.push(report(seed, repeats ? alone : { first: range.first, last: failure.episode }, failure))
  }

  if (values.episode !== undefined) {
    const range = rangeOf(values.episode)
    const outcome = await runProcess(seed, range, totals, never)
    passed = outcome.passed
    if (outcome.failure !== undefined) {
      results.push(report(seed, { ...range, last: outcome.failure.episode }, outcome.failure))
    }
  } else {
    const end = performance.now() + seconds * 1000
    const isOver = (): boolean => performance.now() > end
    let next = 0
    const work = async (): Promise<void> => {
      while (!isOver() && results.length < MOST_FAILURES) {
        const range = { first: next, last: next + BATCH - 1 }
        next += BATCH
        const outcome = await runProcess(seed, range, totals, isOver)
        passed += outcome.passed
        if (outcome.failure !== undefined) await judge(range, outcome.failure)
      }
    }
    await Promise.all(Array.from({ length: jobs }, work))
  }
  totals.print()
  console.log(`seed ${seed}, ${passed + results.length} episodes`)
  return conclude([{ totals: { passed, failed: results.length, skipped: 0 }, results }])
})
