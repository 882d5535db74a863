import type { Sample } from '../lib/rounds.js'
import { HAPROXY, NODE } from './contenders.js'
import type { Server } from './process.js'
import type { StartUpstream } from './upstreams.js'
import type { Workplace } from './workplace.js'

/** What a figure has to reach beside that of another proxy. */
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

/** What a sample is taken of. */
export interface Bench {
  readonly proxy: Server
  readonly upstream: Server
  readonly place: Workplace
  /** How long the load runs. */
  readonly seconds: number
  /** How many connections are left idle. */
  readonly idle: number
}

/** One kind of load. */
export interface Case {
  readonly name: string
  readonly metrics: readonly Metric[]
  readonly upstream: StartUpstream
  /** Whether each sample is taken of a proxy that was just started. */
  readonly fresh?: boolean
  /** Looks once, before any sample, whether a proxy in front of {@link upstream} or of its own choice is right. */
  check?(start: (upstream: number) => Promise<Server>, place: Workplace): Promise<void>
  /** Loads the proxy. Throws where not all bytes arrived as they should have. */
  sample(bench: Bench): Promise<Sample>
}

/** At least so many times HAProxy's figure. */
export function atLeastHaproxy(ratio: number): Aim {
  return { against: HAPROXY, kind: 'at-least', ratio }
}

/** At most so many times HAProxy's figure. */
export function atMostHaproxy(ratio: number): Aim {
  return { against: HAPROXY, kind: 'at-most', ratio }
}

/** At least so many times Node's figure. */
export function atLeastNode(ratio = 1): Aim {
  return { against: NODE, kind: 'at-least', ratio }
}

/** At most Node's figure. */
export function atMostNode(ratio = 1): Aim {
  return { against: NODE, kind: 'at-most', ratio }
}
