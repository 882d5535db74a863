// The cases: which call of which program fails, how, and when.
import type { Fault } from './control.js'
import { outcomesOf } from './plausible.js'
import { PROGRAMS, SETTINGS, type Program } from './programs.js'
import { PHASES, type Phase, type Usage } from './trial.js'

/** A case. */
export interface Case {
  readonly program: Program
  readonly setting: string
  readonly phase: Phase
  readonly fault: Fault
}

/** Which of the calls fails in the list of cases. */
const NTH: readonly number[] = [1, 2, 10]
/** The most calls in a row that fail in a random case. */
const MOST_TIMES = 6

/** The text that names a case: `program:setting:phase:call:error:nth:times`. */
export function nameOf({ program, setting, phase, fault }: Case): string {
  const { call, outcome, nth, times } = fault
  return [program.name, setting, phase, call, outcome.name, nth, times].join(':')
}

/** The case with this name. */
export function parseCase(name: string): Case {
  const [programName, setting = '', phaseName, call = '', error, nth, times] = name.split(':')
  const program = PROGRAMS.find((one) => one.name === programName)
  const phase = PHASES.find((one) => one === phaseName)
  const outcome = outcomesOf(call).find((one) => one.name === error)
  const numbers = [Number(nth), Number(times)] as const
  const isComplete =
    Object.hasOwn(SETTINGS, setting) && numbers.every((one) => Number.isInteger(one) && one > 0)
  if (program === undefined || phase === undefined || outcome === undefined || !isComplete) {
    throw new Error(`"${name}" is not the name of a case: program:setting:phase:call:error:nth:times`)
  }
  return { program, setting, phase, fault: { call, outcome, nth: numbers[0], times: numbers[1] } }
}

/** Every fault of every call that a program makes, at its first, second and tenth time. */
export function casesOf(program: Program, usage: Usage, isChosen: (call: string) => boolean): Case[] {
  const cases: Case[] = []
  for (const phase of PHASES) {
    for (const [call, count] of usage.counts[phase]) {
      if (!isChosen(call)) continue
      for (const outcome of outcomesOf(call)) {
        for (const nth of NTH.filter((one) => one <= count)) {
          cases.push({ program, setting: 'default', phase, fault: { call, outcome, nth, times: 1 } })
        }
      }
    }
  }
  return cases
}

/** The same list in an order that the seed determines. */
export function shuffled<T>(list: readonly T[], below: (bound: number) => number): T[] {
  const order = [...list]
  for (let index = order.length - 1; index > 0; index -= 1) {
    const other = below(index + 1)
    ;[order[index], order[other]] = [order[other] as T, order[index] as T]
  }
  return order
}

/** A case of this program and setting whose call, error and position the numbers determine; `undefined` if none exists. */
export function randomCase(
  program: Program,
  setting: string,
  usage: Usage,
  below: (bound: number) => number,
  isChosen: (call: string) => boolean,
): Case | undefined {
  const phase = PHASES[[0, 1, 1, 1, 1, 2][below(6)] ?? 1] ?? 'run'
  const calls = [...usage.counts[phase]].filter(
    ([call, made]) => made > 0 && isChosen(call) && outcomesOf(call).length > 0,
  )
  const chosen = calls[below(Math.max(1, calls.length))]
  if (chosen === undefined) return undefined
  const [call, count] = chosen
  const outcomes = outcomesOf(call)
  const outcome = outcomes[below(outcomes.length)]
  if (outcome === undefined) return undefined
  const times = below(2) === 0 ? 1 : 1 + below(MOST_TIMES)
  return { program, setting, phase, fault: { call, outcome, nth: 1 + below(count), times } }
}
