// Figures, and the reports of the programs that measure them.
import type { Spread } from './statistics.js'

/** The aim of a figure. */
export type Aim =
  /** At most this share of the reference. */
  | { readonly kind: 'at-most'; readonly of: Reference; readonly ratio: number }
  /** At least this multiple of the reference, for figures of which more is better. */
  | { readonly kind: 'at-least'; readonly of: Reference; readonly ratio: number }
  /** At most this much more than the native figure of the engine, in the figure's unit. */
  | { readonly kind: 'engine-plus'; readonly more: number }

/** The reference of a figure. */
export type Reference = 'libevent' | 'Node' | 'loop()'

/** One figure of a TypeScript subject. */
export interface Figure {
  /** The subject's file. */
  readonly subject: string
  /** Its name, the same as that of the native figure, so that both are in one row. */
  readonly figure: string
  readonly unit: string
  /** The values of the TypeScript layer. */
  readonly typescript: Spread
  /** The reference, measured in the same process, in alternation. */
  readonly reference?: { readonly name: Reference; readonly spread: Spread }
  /** TypeScript divided by the reference, over the rounds. */
  readonly ratio?: Spread
  readonly aim?: Aim
}

/** The output of a subject. */
export interface SubjectReport {
  readonly figures: readonly Figure[]
}

/** One side of a native figure. */
export type NativeSide = Spread

/** One row of the native program's report. */
export interface NativeRow {
  readonly subject: string
  readonly figure: string
  readonly unit: string
  readonly libevent: NativeSide | null
  readonly engine: NativeSide | null
  /** Engine divided by libevent, over the rounds. */
  readonly ratio: Omit<Spread, 'rounds'> | null
  readonly aim: number | null
  /** Allocations of the engine in the timed part, after the first round. */
  readonly allocations: number | null
}

/** The output of the native program. */
export interface NativeReport {
  readonly command: string
  readonly libevent: string
  readonly locks: boolean
  readonly quick: boolean
  readonly rows: readonly NativeRow[]
}
