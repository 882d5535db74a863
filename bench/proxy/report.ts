// The output of the benchmark.
import { columns } from '../lib/columns.js'
import { spread } from '../lib/statistics.js'
import type { Contender } from './contenders.js'
import { type Result, values, type Verdict } from './verdicts.js'

/** The figures: a row for each, a column for each proxy. */
export function figureTable(
  results: readonly Result[],
  contenders: readonly Contender[],
  markdown: boolean,
): string {
  const head = ['load', 'figure', 'unit', ...contenders.map(({ name }) => name)]
  const rows = results.flatMap(({ load, outcomes }) =>
    load.metrics.map((metric) => [
      load.name,
      metric.name,
      metric.unit,
      ...outcomes.map((outcome) =>
        outcome.samples.length === 0 ? 'failed' : figure(spread(values(outcome, metric)).median),
      ),
    ]),
  )
  return columns(head, rows, (column) => column >= 3, markdown)
}

/** The aims: a row for each. */
export function aimTable(verdicts: readonly Verdict[], markdown: boolean): string {
  const head = ['load', 'figure', 'proxy', 'aim', 'ratio', 'result']
  const rows = verdicts.map(({ load, metric, contender, aim, ratio, met }) => [
    load,
    metric,
    contender,
    `${aim.kind === 'at-least' ? '≥' : '≤'} ${aim.ratio.toFixed(2)} × ${aim.against}`,
    ratio.toFixed(2),
    met ? 'met' : 'MISSED',
  ])
  return columns(head, rows, (column) => column >= 4, markdown)
}

function figure(value: number): string {
  if (!Number.isFinite(value)) return ''
  const size = Math.abs(value)
  if (size < 1) return value.toFixed(3)
  if (size < 100) return value.toFixed(1)
  return String(Math.round(value))
}
