import type { Spread } from './statistics.js'

/** What a figure must reach. */
export type Aim =
  /** At most this share of the reference. */
  | { readonly kind: 'at-most'; readonly of: Reference; readonly ratio: number }
  /** At least this multiple of the reference, where more is better. */
  | { readonly kind: 'at-least'; readonly of: Reference; readonly ratio: number }
  /** At most this much more than the engine measured natively, in the figure's unit. */
  | { readonly kind: 'engine-plus'; readonly more: number }

/** What a figure is measured against. */
export type Reference = 'libevent' | 'Node' | 'loop()'

/** One figure of a TypeScript subject. */
export interface Figure {
  /** The subject's file. */
  readonly subject: string
  /** Its name; that of the native figure where there is one, so that the two stand in one row. */
  readonly figure: string
  readonly unit: string
  /** The TypeScript layer. */
  readonly typescript: Spread
  /** What it was measured against in the same process, taking turns. */
  readonly reference?: { readonly name: Reference; readonly spread: Spread }
  /** TypeScript divided by the reference, over the rounds. */
  readonly ratio?: Spread
  readonly aim?: Aim
}

/** What one run of a subject prints on standard output. */
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
  /** Allocations of the engine in the timed part, once warm. */
  readonly allocations: number | null
}

/** What one run of the native program prints on standard output. */
export interface NativeReport {
  readonly command: string
  readonly libevent: string
  readonly locks: boolean
  readonly quick: boolean
  readonly rows: readonly NativeRow[]
}
