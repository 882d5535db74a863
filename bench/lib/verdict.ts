// Aims, and whether the figures reach them.
import type { Aim } from './figure.js'
import type { Row } from './row.js'

/** One aim of a row and its result. */
export interface Verdict {
  readonly aim: string
  readonly met: boolean
}

/** The aims of a row that has figures for them. */
export function verdicts(row: Row): Verdict[] {
  const all: Verdict[] = []
  if (row.engineAim !== undefined && row.engineRatio !== undefined) {
    all.push({ aim: `engine ≤ ${row.engineAim.toFixed(2)}`, met: row.engineRatio <= row.engineAim })
  }
  const typescript = row.typescriptAim === undefined ? undefined : ofTypeScript(row, row.typescriptAim)
  if (typescript !== undefined) all.push(typescript)
  return all
}

function ofTypeScript(row: Row, aim: Aim): Verdict | undefined {
  const { typescript, typescriptRatio: ratio, engine } = row
  if (typescript === undefined) return undefined
  if (aim.kind === 'engine-plus') {
    if (engine === undefined) return undefined
    return { aim: `TypeScript ≤ engine + ${aim.more}`, met: typescript <= engine + aim.more }
  }
  if (ratio === undefined) return undefined
  const most = aim.kind === 'at-most'
  return {
    aim: `TypeScript ${most ? '≤' : '≥'} ${aim.ratio.toFixed(2)}`,
    met: most ? ratio <= aim.ratio : ratio >= aim.ratio,
  }
}
