// Kinds of load, their figures and aims.
import type { Sample } from '../lib/rounds.js'
import { HAPROXY, NODE } from './contenders.js'
import type { Server } from './process.js'
import type { StartUpstream } from './upstreams.js'
import type { Workplace } from './workplace.js'

/** The aim of a figure, relative to another proxy. */
export interface Aim {
  /** The other proxy's column. */
  readonly against: string
  readonly kind: 'at-least' | 'at-most'
  readonly ratio: number
}

/** One figure of a case. */
export interface Metric {
  readonly name: string
  readonly unit: string
  readonly aims: readonly Aim[]
}

/** The subject of a sample. */
export interface Bench {
  readonly proxy: Server
  readonly upstream: Server
  readonly place: Workplace
  /** How long the load runs. */
  readonly seconds: number
  /** The number of idle connections. */
  readonly idle: number
}

/** One kind of load. */
export interface Case {
  readonly name: string
  readonly metrics: readonly Metric[]
  readonly upstream: StartUpstream
  /** Whether each sample starts a new proxy. */
  readonly fresh?: boolean
  /** Checks once, before the first sample, that a proxy in front of {@link upstream} or of another upstream is correct. */
  check?(start: (upstream: number) => Promise<Server>, place: Workplace): Promise<void>
  /** Loads the proxy. Throws if a byte is missing or wrong. */
  sample(bench: Bench): Promise<Sample>
}

/** At least this multiple of HAProxy's figure. */
export function atLeastHaproxy(ratio: number): Aim {
  return { against: HAPROXY, kind: 'at-least', ratio }
}

/** At most this multiple of HAProxy's figure. */
export function atMostHaproxy(ratio: number): Aim {
  return { against: HAPROXY, kind: 'at-most', ratio }
}

/** At least this multiple of Node's figure. */
export function atLeastNode(ratio = 1): Aim {
  return { against: NODE, kind: 'at-least', ratio }
}

/** At most Node's figure. */
export function atMostNode(ratio = 1): Aim {
  return { against: NODE, kind: 'at-most', ratio }
}
