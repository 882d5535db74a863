// Runs a subject and prints its report.
import type { Aim, Figure, Reference, SubjectReport } from './figure.js'
import { subjectOptions, type SubjectOptions } from './options.js'
import { ratios, type Values } from './rounds.js'
import { spread } from './statistics.js'

/** How the figures of a subject are reported. */
export interface Presentation {
  readonly subject: string
  readonly unit: string
  /** The aim of a figure, if it has one. */
  readonly aim?: (figure: string) => Aim | undefined
  /** The name of the second side. */
  readonly reference?: Reference
}

/** Makes figures from the values of one side, or of two in alternation. */
export function figures(sides: readonly Values[], shown: Presentation): Figure[] {
  const [typescript = new Map<string, readonly number[]>(), other] = sides
  return [...typescript].map(([figure, values]) => {
    const reference = other?.get(figure)
    const aim = shown.aim?.(figure)
    return {
      subject: shown.subject,
      figure,
      unit: shown.unit,
      typescript: spread(values),
      ...(reference !== undefined &&
        shown.reference !== undefined && {
          reference: { name: shown.reference, spread: spread(reference) },
          ratio: spread(ratios(values, reference)),
        }),
      ...(aim !== undefined && { aim }),
    }
  })
}

/** Runs a subject with the options of the command line and prints its report as JSON. */
export async function main(run: (options: SubjectOptions) => Promise<Figure[]>): Promise<void> {
  const report: SubjectReport = { figures: await run(subjectOptions()) }
  process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`)
}

/** Throws unless the count is the expected one: a wrong sample has no figure. */
export function expectCount(what: string, happened: number, expected: number): void {
  if (happened !== expected) throw new Error(`${what}: ${happened} in place of ${expected}`)
}
