// Mutants are copies of the code with one small change each. A mutant is caught if a test fails because of it. This
// module has what the mutants of the crates and those of `ts/` share: the selection, the list of equivalent ones, and
// the report.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { Random } from '../../bench/lib/random.js'
import { reportOf, type Report, type TestResult } from './results.js'
import { demand, root } from './run.js'

/** The least score of a crate, and of `ts/`, in percent. */
export const LEAST_SCORE = 90

/** Which mutants are tested. */
export interface Selection {
  /** Only mutants of the lines that differ from this commit. */
  readonly since?: string
  /** At most this many of each subject, which the seed determines. */
  readonly sample?: number
  readonly seed: number
  /** Only subjects with one of these names; all if it is empty. */
  readonly subjects: readonly string[]
  /** Only mutants whose place contains one of these texts; all if it is empty. */
  readonly only: readonly string[]
}

/** One change. */
export interface Mutant {
  /** Relative to the root folder. */
  readonly file: string
  readonly line: number
  readonly column: number
  /** The rest of the line, from the place of the change on. */
  readonly code: string
  /** For example `replace < with <= in Heap::pop`. */
  readonly change: string
}

/** The outcome of the mutants of a crate, or of `ts/`. */
export interface Tally {
  readonly subject: string
  /** The mutants that exist, equivalent ones included. */
  readonly existing: number
  readonly caught: number
  /** Mutants with which a test did not end. They count as caught. */
  readonly timeout: number
  /** Mutants that do not compile, or that this system does not compile. They do not count. */
  readonly unviable: number
  /** Mutants that behave as the original does. They are not tested. */
  readonly equivalent: number
  readonly missed: readonly Mutant[]
  /** Entries of the list of equivalent mutants to which no mutant corresponds any more. */
  readonly stale: readonly string[]
  /** The tests that fail without a mutant. They are not used: they would catch every mutant. */
  readonly broken: readonly string[]
}

export function place({ file, line, column, change }: Mutant): string {
  return `${file}:${line}:${column}: ${change}`
}

/** The commit at which the lines that `since` selects begin to differ: where the current branch left it. */
export async function branchPoint(since: string): Promise<string> {
  return (await demand('git', ['merge-base', since, 'HEAD'])).trim()
}

/** The mutants that the selection names and the list of equivalent ones does not. */
export function candidates<T extends Mutant>(
  mutants: readonly T[],
  equivalents: Equivalents,
  { only }: Pick<Selection, 'only'>,
): T[] {
  return mutants
    .filter((mutant) => only.length === 0 || only.some((text) => place(mutant).includes(text)))
    .filter((mutant) => !equivalents.has(mutant))
}

/** The mutants in the order in which they are to be tested: that of the sources, or for a sample a random one. */
export function inOrder<T>(mutants: readonly T[], { sample, seed }: Pick<Selection, 'sample' | 'seed'>): T[] {
  if (sample === undefined) return [...mutants]
  return [...new Random(seed).order(mutants.length)].flatMap((index) => mutants[index] ?? [])
}

interface Entry {
  readonly file: string
  readonly code: string
  readonly change: string
  readonly reason: string
}

/** The mutants that no test can catch, from `scripts/mutants-equivalent.json`. */
export class Equivalents {
  readonly #entries: readonly Entry[]

  constructor(entries: readonly Entry[]) {
    const incomplete = entries.find(({ reason }) => !reason)
    if (incomplete !== undefined) throw new Error(`an equivalent mutant in ${incomplete.file} has no reason`)
    this.#entries = entries
  }

  static async read(): Promise<Equivalents> {
    const text = await readFile(join(root, 'scripts/mutants-equivalent.json'), 'utf8')
    return new Equivalents(JSON.parse(text) as Entry[])
  }

  has({ file, code, change }: Mutant): boolean {
    return this.#entries.some(
      (entry) => entry.file === file && entry.code === code && entry.change === change,
    )
  }

  /** The entries for files below `folder` that none of `mutants` corresponds to. */
  stale(folder: string, mutants: readonly Mutant[]): string[] {
    return this.#entries
      .filter(({ file }) => file.startsWith(folder))
      .filter(({ file, code, change }) =>
        mutants.every((mutant) => mutant.file !== file || mutant.code !== code || mutant.change !== change),
      )
      .map(({ file, code, change }) => `${file}: ${change}: ${code}`)
  }
}

/** Caught mutants in percent of those that count; `undefined` if none counts. */
export function score({ caught, timeout, missed }: Tally): number | undefined {
  const counted = caught + timeout + missed.length
  return counted === 0 ? undefined : ((caught + timeout) / counted) * 100
}

/** One line of the summary. */
export function summary(tally: Tally): string {
  const { subject, existing, caught, missed, timeout, unviable, equivalent } = tally
  const percent = score(tally)
  const counts = `${caught} caught, ${missed.length} missed, ${timeout} timeout, ${unviable} unviable`
  const result = percent === undefined ? 'no mutant counts' : `score ${percent.toFixed(1)} %`
  return `${subject}: ${counts}; ${existing} mutants exist, ${equivalent} of them equivalent; ${result}`
}

/** A subject passes if its score is high enough, its list of equivalent mutants is current, and no test is broken. */
export function judge(tally: Tally): Report {
  const { subject, missed, stale, broken } = tally
  const percent = score(tally)
  const results: TestResult[] = []
  if (percent === undefined) {
    results.push({ name: subject, outcome: 'skipped' })
  } else if (percent >= LEAST_SCORE) {
    results.push({ name: subject, outcome: 'passed' })
  } else {
    const message = [`${percent.toFixed(1)} % is below ${LEAST_SCORE} %`, ...missed.map(place)].join('\n')
    results.push({ name: subject, outcome: 'failed', message })
  }
  if (stale.length > 0) {
    const message = stale.join('\n')
    results.push({ name: `${subject}: equivalent mutants that do not exist`, outcome: 'failed', message })
  }
  if (broken.length > 0) {
    const message = broken.join('\n')
    results.push({ name: `${subject}: tests that fail without a mutant`, outcome: 'failed', message })
  }
  return reportOf(results)
}
