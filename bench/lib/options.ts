// Command lines of subjects and of `bench/run.ts`.
import { parseArgs } from 'node:util'

/** Options of a subject. */
export interface SubjectOptions {
  /** Fewer rounds and smaller counts. */
  readonly quick: boolean
  /** A base with locks, in place of a `NOLOCK` one. */
  readonly locks: boolean
  /** At least this many rounds, in place of the default. */
  readonly rounds: number | undefined
  /** Only figures whose name starts with this. */
  readonly only: string | undefined
}

/** Reads the command line of a subject. Ends the process with code 2 if it is wrong. */
export function subjectOptions(): SubjectOptions {
  const { quick, locks, rounds, only } = read(() =>
    parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        locks: { type: 'boolean', default: false },
        rounds: { type: 'string' },
        only: { type: 'string' },
      },
    }),
  )
  return { quick, locks, only, rounds: rounds === undefined ? undefined : roundCount(rounds) }
}

/** Options of `bench/run.ts`. */
export interface RunOptions {
  readonly quick: boolean
  /** Subjects to run; all when empty. */
  readonly only: readonly string[]
  /** Prints Markdown in place of the plain table. */
  readonly markdown: boolean
  /** Does not build before measuring. */
  readonly build: boolean
  /** How often the native and the TypeScript programs alternate. */
  readonly rounds: number
  readonly help: boolean
}

/** Reads the command line of `bench/run.ts`. Ends the process with code 2 if it is wrong. */
export function runOptions(): RunOptions {
  const values = read(() =>
    parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true, default: [] },
        markdown: { type: 'boolean', default: false },
        'no-build': { type: 'boolean', default: false },
        rounds: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }),
  )
  const rounds = values.rounds === undefined ? (values.quick ? 1 : 3) : roundCount(values.rounds)
  return { ...values, build: !values['no-build'], rounds }
}

function roundCount(text: string): number {
  const rounds = Number(text)
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 1000) {
    return refuse(`--rounds ${text}: a whole number from 1 to 1000 is wanted`)
  }
  return rounds
}

function read<Values>(parse: () => { readonly values: Values }): Values {
  try {
    return parse().values
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error))
  }
}

/** Reports a wrong command line and ends the process. */
export function refuse(message: string): never {
  console.error(message)
  process.exit(2)
}
