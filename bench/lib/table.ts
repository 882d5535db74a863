// The table of figures.
import { columns } from './columns.js'
import type { Row } from './row.js'
import { verdicts } from './verdict.js'

const HEAD = [
  'shape',
  'unit',
  'against',
  'it',
  'engine',
  'ratio',
  'TypeScript',
  'ratio',
  'allocs',
  'aim',
  'result',
  'by',
]
/** Columns with numbers are aligned to the right. */
const NUMBERS = new Set([3, 4, 5, 6, 7, 8])

/** The rows as one table, followed by the commands that measured them. */
export function table(rows: readonly Row[], markdown: boolean): string {
  const commands = [...new Set(rows.flatMap((row) => row.commands))]
  const lines = rows.map((row) => cells(row, commands))
  const notes = commands.map((command, index) => `${index + 1}. ${markdown ? `\`${command}\`` : command}`)
  return `${columns(HEAD, lines, (column) => NUMBERS.has(column), markdown)}\n\n${notes.join('\n')}\n`
}

function cells(row: Row, commands: readonly string[]): string[] {
  const aims = verdicts(row)
  return [
    row.name,
    row.unit,
    row.against ?? '',
    figure(row.reference),
    figure(row.engine),
    ratio(row.engineRatio),
    figure(row.typescript),
    ratio(row.typescriptRatio),
    row.allocations === undefined ? '' : String(row.allocations),
    aims.map(({ aim }) => aim).join(', '),
    aims.map(({ met }) => (met ? 'met' : 'MISSED')).join(', '),
    row.commands.map((command) => commands.indexOf(command) + 1).join(' '),
  ]
}

function figure(value: number | undefined): string {
  if (value === undefined) return ''
  return value < 100 ? value.toFixed(1) : String(Math.round(value))
}

function ratio(value: number | undefined): string {
  return value === undefined ? '' : value.toFixed(2)
}
