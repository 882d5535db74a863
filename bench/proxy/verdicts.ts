// Aims of the proxies, and whether the figures reach them.
import { ratios } from '../lib/rounds.js'
import { spread } from '../lib/statistics.js'
import type { Aim, Case, Metric } from './case.js'
import type { Outcome } from './run.js'

/** The figures of one case. */
export interface Result {
  readonly load: Case
  readonly outcomes: readonly Outcome[]
}

/** An aim and its result. */
export interface Verdict {
  readonly load: string
  readonly metric: string
  /** The proxy that it applies to. */
  readonly contender: string
  readonly aim: Aim
  /** The median of the ratios of the rounds. */
  readonly ratio: number
  readonly met: boolean
}

/** The values of a figure, round by round. */
export function values({ samples }: Outcome, { name }: Metric): number[] {
  return samples.map((sample) => sample[name] ?? Number.NaN)
}

/** Every aim that has figures. */
export function verdicts({ load, outcomes }: Result): Verdict[] {
  return load.metrics.flatMap((metric) =>
    outcomes
      .filter(({ contender, samples }) => contender.judged && samples.length > 0)
      .flatMap((outcome) => metric.aims.flatMap((aim) => verdict(load, metric, outcome, aim, outcomes))),
  )
}

function verdict(
  load: Case,
  metric: Metric,
  outcome: Outcome,
  aim: Aim,
  outcomes: readonly Outcome[],
): readonly Verdict[] {
  const other = outcomes.find(({ contender }) => contender.name === aim.against)
  if (other === undefined || other.samples.length === 0) return []
  const { median: ratio } = spread(ratios(values(outcome, metric), values(other, metric)))
  const met = aim.kind === 'at-least' ? ratio >= aim.ratio : ratio <= aim.ratio
  const { name: contender } = outcome.contender
  return [{ load: load.name, metric: `${metric.name}, ${metric.unit}`, contender, aim, ratio, met }]
}
