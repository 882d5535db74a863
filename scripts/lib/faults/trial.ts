// One run of a program under one fault, and its verdict.
import { setTimeout } from 'node:timers/promises'

import { Control, type Fault } from './control.js'
import { SETTINGS, type Program } from './programs.js'
import { Subject } from './subject.js'
import type { Problem, Traffic } from './traffic.js'

/** When the fault applies: until the program is ready, during a round, or from the request to end on. */
export type Phase = 'start' | 'run' | 'end'

export const PHASES: readonly Phase[] = ['start', 'run', 'end']

/** Milliseconds. Only what hangs takes them. */
const PATIENCE = 100_000
/** Milliseconds in which a program closes what it closes shortly after the last connection, and between two checks. */
const SETTLING = 1000
const CHECK = 20
/** Text of a panic, an abort, or an inconsistency. */
const FATAL =
  /panicked|stack backtrace|FATAL ERROR|Assertion|ERR_EVENT_INTERNAL|unhandled|uncaught|^\s+at .*:\d+:\d+/im

/** What an unfaulted run uses. */
export interface Usage {
  /** How often each call is made in each phase. */
  readonly counts: Readonly<Record<Phase, ReadonlyMap<string, number>>>
  /** The number of descriptors that a round opens and leaves open, such as those of a signal handler. */
  readonly kept: number
}

/** What a run showed. */
export interface Verdict {
  /** Whether a call was made that the fault selects. */
  readonly applied: boolean
  readonly problems: readonly string[]
  readonly usage: Usage
}

/** Where trials run, one after the other. */
export interface Lane {
  /** The path of the preloaded library. */
  readonly library: string
  /** The path of the control file. */
  readonly path: string
  readonly traffics: ReadonlyMap<string, Traffic>
  /** A port at which nothing listens. */
  readonly closed: number
}

/** Runs a program without a fault, or with one in a phase. `usual` is the usage of a run without a fault. */
export async function runTrial(
  lane: Lane,
  program: Program,
  setting: string,
  trial?: { readonly phase: Phase; readonly fault: Fault; readonly usual: Usage },
): Promise<Verdict> {
  const traffic = lane.traffics.get(program.name)
  if (traffic === undefined) throw new Error(`no traffic for ${program.name}`)
  const control = new Control(lane.path)
  // The library writes its list when it is loaded, so the names are those of the usual run.
  const known = trial === undefined ? [] : [...trial.usual.counts.run.keys()]
  const problems: string[] = []
  const counts: Record<Phase, ReadonlyMap<string, number>> = {
    start: new Map(),
    run: new Map(),
    end: new Map(),
  }
  let [applied, kept] = [false, 0]
  const begin = (phase: Phase): void => {
    const names = known.length > 0 ? known : [...control.counts.keys()]
    control.arm(names, trial?.phase === phase ? trial.fault : undefined)
  }
  const finish = (phase: Phase): void => {
    control.disarm()
    counts[phase] = control.counts
    if (trial?.phase === phase) applied = control.applied > 0
  }

  begin('start')
  const subject = new Subject(program.args(traffic.port, lane.closed), {
    ...SETTINGS[setting],
    LD_PRELOAD: lane.library,
    EVENT_BASE_FAULTS: lane.path,
  })
  try {
    const ready = await subject.waitFor(() => program.ready.exec(subject.out) ?? undefined, PATIENCE)
    finish('start')
    if (ready === undefined) {
      problems.push(...failedStart(subject, trial?.phase === 'start' ? trial.fault : undefined))
    } else {
      if (!control.isInPlace) problems.push('the library has replaced no call')
      const before = subject.descriptors
      begin('run')
      const failures = await traffic.round(subject, ready, breaks(trial), true)
      problems.push(...failures.map(({ text }) => text))
      finish('run')
      problems.push(...(await rest(subject, traffic, ready)))
      const opened = (): string[] => [...subject.descriptors].filter((one) => !before.has(one))
      if (trial === undefined) kept = await least(() => opened().length)
      else if (problems.length === 0) problems.push(...(await left(subject, opened, trial.usual.kept)))
      begin('end')
      if (program.endLine === undefined) subject.kill('SIGTERM')
      else subject.write(program.endLine)
      const end = await subject.waitForEnd(PATIENCE)
      finish('end')
      if (end === undefined) problems.push(`it does not end within ${PATIENCE / 1000} s`)
      else if (end.code !== 0) problems.push(`it ends with ${end.signal ?? `exit code ${end.code}`}`)
    }
    const fatal = FATAL.exec(subject.err)
    if (fatal !== null || problems.length > 0) problems.push(`standard error: ${subject.err.slice(0, 1000)}`)
    return { applied, problems, usage: { counts, kept } }
  } finally {
    if (subject.end === undefined) await subject.waitForEnd(0)
    control.close()
  }
}

/** How many connections or activities of a round may fail: one call that fails is of one of them. */
function breaks(trial: { readonly phase: Phase; readonly fault: Fault } | undefined): number {
  if (trial === undefined || trial.phase === 'end') return 0
  return trial.phase === 'run' && trial.fault.times === 1 ? 1 : Infinity
}

/** What is wrong with a program that has not become ready. It may fail in order, with one line and exit code 1. */
function failedStart(subject: Subject, fault: Fault | undefined): string[] {
  const { end, err } = subject
  if (end === undefined) return ['it neither becomes ready nor ends']
  const how = end.signal ?? `exit code ${end.code}`
  if (fault === undefined || fault.outcome.name === 'EINTR' || fault.outcome.kind === 'short')
    return [`it does not start: ${how}`]
  if (end.code !== 1) return [`it does not start and ends with ${how}`]
  return err.trim().split('\n').length === 1 && err.trim() !== ''
    ? []
    : ['it does not start, without a line that tells why']
}

/** The least of the values in the time in which a program closes descriptors. */
async function least(value: () => number): Promise<number> {
  let smallest = value()
  for (const end = performance.now() + SETTLING; performance.now() < end;) {
    await setTimeout(CHECK)
    smallest = Math.min(smallest, value())
  }
  return smallest
}

/**
 * What is wrong with the descriptors that a program has opened since it was ready, of which it may leave `most` open. A
 * descriptor that it had open when it was ready, such as the file of a look-up in progress, does not count.
 */
async function left(subject: Subject, opened: () => string[], most: number): Promise<string[]> {
  const closed = await subject.waitFor(() => (opened().length <= most ? true : undefined), PATIENCE)
  if (closed !== undefined) return []
  const list = opened()
  return list.length <= most
    ? []
    : [`it has left ${list.length} descriptors open, and usually leaves ${most}: ${list.join(', ')}`]
}

/** After a round: it works without a failure, and is idle. */
async function rest(subject: Subject, traffic: Traffic, ready: RegExpExecArray): Promise<string[]> {
  const giveUp = performance.now() + PATIENCE
  let failures: Problem[]
  const isEarly = (): boolean => subject.end === undefined && performance.now() < giveUp
  // A server that was counted as down is tried again after a while.
  do failures = await traffic.round(subject, ready, 0, false)
  while (failures.length > 0 && failures.every(({ isUnserved }) => isUnserved) && isEarly())
  if (failures.length > 0) return failures.map(({ text }) => `afterwards: ${text}`)
  return (await subject.isSpinning()) ? ['it uses CPU time although it has nothing to do'] : []
}
