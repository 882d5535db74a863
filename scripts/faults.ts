// Programs under every plausible error of every system call that the addon makes: `npm run faults -- --help`.
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { random } from '../__test__/proxy/fire/plan.js'
import { addonProblem } from './lib/addon.js'
import { buildProblem } from './lib/build.js'
import { temporaryFolder } from './lib/exit.js'
import { conclude } from './lib/failures.js'
import { casesOf, nameOf, parseCase, randomCase, shuffled, type Case } from './lib/faults/cases.js'
import { preloadLibrary } from './lib/faults/library.js'
import { PLAUSIBLE } from './lib/faults/plausible.js'
import { PROGRAMS, SETTINGS, type Program } from './lib/faults/programs.js'
import { PHASES, runTrial, type Lane, type Usage } from './lib/faults/trial.js'
import { integer, MOST_JOBS } from './lib/options.js'
import type { TestResult } from './lib/results.js'
import { main } from './lib/run.js'

const HELP = `usage: npm run faults -- [options]

Runs programs under every plausible error of every system call that the addon makes, at the first, second and tenth time.

  --only CALL      only this call, such as accept4; can be repeated
  --subject NAME   only this program: ${PROGRAMS.map(({ name }) => name).join(', ')}; can be repeated
  --seconds N      for N seconds: the list in the order that the seed determines, then random cases: other positions,
                   several failures in a row, other backends and settings
  --seed S         the seed of --seconds (default 1)
  --jobs N         the number of concurrent programs (default ${availableParallelism()})
  --case NAME      one case, as a failure names it
  --list           prints the calls of each program and the cases, and runs none
`

/** A port at which nothing listens (tcpmux). */
const CLOSED = 1

/** The usage of programs without a fault, by name and setting. */
class Usages {
  readonly results: TestResult[] = []
  readonly #known = new Map<string, Promise<Usage | undefined>>()

  /** The usage, which is measured once. `undefined` if the program has a problem without a fault. */
  of(lane: Lane, program: Program, setting: string): Promise<Usage | undefined> {
    const name = `${program.name}:${setting}`
    const known = this.#known.get(name) ?? this.#measure(lane, program, setting)
    this.#known.set(name, known)
    return known
  }

  async #measure(lane: Lane, program: Program, setting: string): Promise<Usage | undefined> {
    const { problems, usage } = await runTrial(lane, program, setting)
    if (problems.length === 0) return usage
    const name = `${program.name}:${setting} without a fault`
    this.results.push({ name, outcome: 'failed', message: problems.join('\n') })
    return undefined
  }
}

function list(cases: readonly Case[], usages: ReadonlyMap<string, Usage>): void {
  for (const [name, { counts }] of usages) {
    for (const phase of PHASES) {
      const made = [...counts[phase]].filter(([, count]) => count > 0)
      console.log(`${name}, ${phase}: ${made.map(([call, count]) => `${call} ${count}`).join(', ')}`)
    }
  }
  for (const one of cases) console.log(nameOf(one))
  console.log(`${cases.length} cases`)
}

await main(async () => {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      subject: { type: 'string', multiple: true, default: [] },
      seconds: { type: 'string' },
      seed: { type: 'string', default: '1' },
      jobs: { type: 'string', default: String(availableParallelism()) },
      case: { type: 'string', multiple: true, default: [] },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(HELP)
    return true
  }
  if (process.platform !== 'linux')
    throw new Error('Faults are injected on Linux only: it needs LD_PRELOAD and /proc')
  const unknown = values.subject.find((name) => !PROGRAMS.some((program) => program.name === name))
  if (unknown !== undefined) throw new Error(`unknown subject ${unknown}; see --help`)
  const unlisted = values.only.find((call) => !Object.hasOwn(PLAUSIBLE, call))
  if (unlisted !== undefined)
    throw new Error(`${unlisted} is not in the list: ${Object.keys(PLAUSIBLE).join(', ')}`)
  const problem = (await addonProblem()) ?? (await buildProblem())
  if (problem !== undefined) throw new Error(`${problem}\nRun npm run build:native`)

  const programs = PROGRAMS.filter(({ name }) => values.subject.length === 0 || values.subject.includes(name))
  const isChosen = (call: string): boolean => values.only.length === 0 || values.only.includes(call)
  const seed = integer('seed', values.seed, 0)
  const below = random(seed)
  const end =
    values.seconds === undefined
      ? undefined
      : performance.now() + integer('seconds', values.seconds, 1) * 1000

  const library = await preloadLibrary()
  const folder = temporaryFolder('faults')
  const lanes = Array.from({ length: integer('jobs', values.jobs, 1, MOST_JOBS) }, (_, index): Lane => {
    const traffics = new Map(PROGRAMS.map((program) => [program.name, program.traffic()]))
    return { library, path: join(folder, String(index)), traffics, closed: CLOSED }
  })
  try {
    const [first] = lanes
    if (first === undefined) return false
    const usages = new Usages()
    const cases = values.case.map(parseCase)
    const usual = new Map<string, Usage>()
    if (cases.length === 0) {
      for (const program of programs) {
        const usage = await usages.of(first, program, 'default')
        if (usage === undefined) continue
        usual.set(program.name, usage)
        const unknownCalls = Object.keys(PLAUSIBLE).filter((call) => !usage.counts.run.has(call))
        if (unknownCalls.length > 0)
          throw new Error(`The library does not replace ${unknownCalls.join(', ')}`)
        cases.push(...casesOf(program, usage, isChosen))
      }
    }
    if (values.list) {
      list(cases, usual)
      for (const { name, message } of usages.results) console.log(`${name}: ${message}`)
      return usages.results.length === 0
    }

    const results: TestResult[] = []
    let [passed, failed, unreached] = [0, 0, 0]
    const queue = end === undefined ? cases : shuffled(cases, below)
    const settings = Object.keys(SETTINGS)
    const isOver = (): boolean => end !== undefined && performance.now() >= end

    /** The next case, and its usual usage; `undefined` at the end. */
    const next = async (lane: Lane): Promise<{ one: Case; usage: Usage } | undefined> => {
      for (;;) {
        if (isOver()) return undefined
        const listed = queue.shift()
        if (listed === undefined && (end === undefined || programs.length === 0)) return undefined
        const program = listed?.program ?? programs[below(programs.length)]
        const setting = listed?.setting ?? settings[below(settings.length)]
        if (program === undefined || setting === undefined) return undefined
        const usage = await usages.of(lane, program, setting)
        if (usage === undefined) {
          // Without a single program that works there is nothing to do.
          if (usages.results.length >= programs.length * settings.length) return undefined
          continue
        }
        const one = listed ?? randomCase(program, setting, usage, below, isChosen)
        if (one !== undefined) return { one, usage }
      }
    }

    await Promise.all(
      lanes.map(async (lane) => {
        for (let task = await next(lane); task !== undefined; task = await next(lane)) {
          const { one, usage } = task
          const { applied, problems } = await runTrial(lane, one.program, one.setting, {
            ...one,
            usual: usage,
          })
          const name = nameOf(one)
          if (problems.length > 0) {
            failed += 1
            const repeat = `npm run faults -- --case '${name}'`
            const message = [repeat, ...problems].join('\n')
            results.push({ name, outcome: 'failed', message })
            console.log(`FAIL ${name}\n${message}\n`)
          } else if (applied) passed += 1
          else unreached += 1
          if ((passed + failed + unreached) % 20 === 0)
            console.log(`${passed} passed, ${failed} failed so far; ${unreached} did not apply`)
        }
      }),
    )
    const rest =
      end === undefined ? '' : `, seed ${seed}, ${queue.length} of ${cases.length} listed cases left`
    console.log(
      `${passed + failed} cases${rest}; ${unreached} did not apply, because the call was made less often`,
    )
    failed += usages.results.length
    return conclude([{ totals: { passed, failed, skipped: 0 }, results: [...usages.results, ...results] }])
  } finally {
    for (const lane of lanes) for (const traffic of lane.traffics.values()) traffic.close()
  }
})
