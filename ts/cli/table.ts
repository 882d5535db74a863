/** The traffic as a table on a terminal, redrawn in its place. */

import type { ProxyStats, UpstreamStats } from '../net/proxy.js'
import { formatBytes, formatColumns, formatMs, formatRate, formatUptime, shorten } from './format.js'
import type { Terminal } from './output.js'

const HIDE_CURSOR = '\x1b[?25l'
const SHOW_CURSOR = '\x1b[?25h'
const ERASE_LINE_END = '\x1b[K'
const ERASE_SCREEN_END = '\x1b[J'

/** The spaces between two columns. */
const GAP = 2

/** Bytes per second, from the client's side A to the upstream's side B, and back. */
type Rates = readonly [string, string]

interface Column {
  readonly head: string
  /** The least width, which usual values do not exceed, so that the columns stay in their places. */
  readonly width: number
  /** The cell of the sums. */
  all(stats: ProxyStats, rates: Rates): string | number
  /** The cell of an upstream. */
  one(upstream: UpstreamStats, rates: Rates): string | number
}

function sum(stats: ProxyStats, key: 'connected' | 'refused' | 'failed'): number {
  return stats.upstreams.reduce((total, one) => total + one[key], 0)
}

function stateOf({ state, retryAfter }: UpstreamStats): string {
  return retryAfter === undefined ? state : `down ${(retryAfter / 1000).toFixed(1)} s`
}

/** The columns after the name, the most important one first. A terminal shows as many of them as fit. */
const COLUMNS: readonly Column[] = [
  { head: 'state', width: 11, all: () => '', one: stateOf },
  { head: 'open', width: 5, all: (stats) => stats.open, one: ({ open }) => open },
  { head: 'refused', width: 7, all: (stats) => sum(stats, 'refused'), one: ({ refused }) => refused },
  { head: 'failed', width: 6, all: (stats) => sum(stats, 'failed'), one: ({ failed }) => failed },
  { head: 'A→B/s', width: 9, all: (_, [rate]) => rate, one: (_, [rate]) => rate },
  { head: 'B→A/s', width: 9, all: (_, [, rate]) => rate, one: (_, [, rate]) => rate },
  { head: 'connected', width: 9, all: (stats) => sum(stats, 'connected'), one: ({ connected }) => connected },
  { head: 'connect', width: 8, all: () => '', one: ({ connectMs }) => formatMs(connectMs) },
  { head: 'accepted', width: 8, all: ({ accepted }) => accepted, one: () => '' },
  { head: 'unserved', width: 8, all: ({ refused }) => refused, one: () => '' },
  {
    head: 'A→B',
    width: 9,
    all: (stats) => formatBytes(stats.bytesAToB),
    one: (one) => formatBytes(one.bytesAToB),
  },
  {
    head: 'B→A',
    width: 9,
    all: (stats) => formatBytes(stats.bytesBToA),
    one: (one) => formatBytes(one.bytesBToA),
  },
]

/** Bytes in both directions. */
type Bytes = Pick<ProxyStats, 'bytesAToB' | 'bytesBToA'>

/** The bytes at the last drawing, for the rates. */
interface Drawing {
  at: number
  bytes: Map<string, Bytes>
}

/** A table on a terminal. */
export class Table {
  readonly #terminal: Terminal
  readonly #title: string
  readonly #begun: number = performance.now()
  #before: Drawing = { at: this.#begun, bytes: new Map() }
  /** The lines on the screen that belong to the table. */
  #drawn: readonly string[] = []
  /** When a drain closes the connections that are left, in milliseconds. */
  #drainsUntil: number | undefined
  #hasEnded = false

  /** @param title the beginning of the line above it */
  constructor(terminal: Terminal, title: string) {
    this.#terminal = terminal
    this.#title = title
  }

  /** Draws the table in the place of the last drawing. */
  draw(stats: ProxyStats): void {
    const lines = this.#lines(stats)
    const head = this.#drawn.length === 0 ? HIDE_CURSOR : ''
    if (this.#terminal.write(`${head}${this.#replacement(lines)}`)) this.#drawn = lines
  }

  /** Writes a line above the table. */
  insertAbove(line: string): void {
    if (this.#terminal.write(this.#replacement([line]))) this.#drawn = []
  }

  /** From now on the table shows that the proxy drains, for at most a time in milliseconds. */
  drain(timeout: number): void {
    this.#drainsUntil = performance.now() + timeout
  }

  /** Draws the table once more, which stays on the screen, and shows the cursor again. */
  end(stats: ProxyStats): void {
    this.#hasEnded = true
    this.draw(stats)
    this.#terminal.write(SHOW_CURSOR)
  }

  /**
   * Returns what writes lines in the place of the table. A terminal that has become narrower since the last drawing has
   * broken the lines of the table into several rows; one that cuts them off instead, such as xterm, loses a few rows above
   * the table.
   *
   * Each line is erased after its text is written: tmux copies a screen that is erased from its first cell into its history.
   */
  #replacement(lines: readonly string[]): string {
    const { columns } = this.#size
    const rows = this.#drawn.reduce((all, line) => all + Math.max(Math.ceil(line.length / columns), 1), 0)
    const up = rows === 0 ? '' : `\x1b[${rows}A\r`
    return `${up}${lines.map((line) => `${line}${ERASE_LINE_END}\n`).join('')}${ERASE_SCREEN_END}`
  }

  /** The size of the terminal. A terminal whose size is not known reports none, or 0. */
  get #size(): { columns: number; rows: number } {
    const { columns, rows } = this.#terminal
    return { columns: columns || 80, rows: rows || 24 }
  }

  /** Returns the lines of the table. All fit on the screen: a line that scrolls away cannot be erased. */
  #lines(stats: ProxyStats): string[] {
    const { columns, rows } = this.#size
    const width = columns - 1
    const now = performance.now()
    const since = (now - this.#before.at) / 1000
    const bytes: Drawing['bytes'] = new Map()
    const rates = (key: string, { bytesAToB, bytesBToA }: Bytes): Rates => {
      const before = this.#before.bytes.get(key) ?? { bytesAToB, bytesBToA }
      bytes.set(key, { bytesAToB, bytesBToA })
      return [
        formatRate(bytesAToB - before.bytesAToB, since),
        formatRate(bytesBToA - before.bytesBToA, since),
      ]
    }
    // The title, the head, the sums, the cursor's line, and the number of upstreams that are not shown.
    const shown = stats.upstreams.slice(0, Math.max(rows - 5, 0))
    const all = rates('', stats)
    const each = shown.map((one) => ({ one, rates: rates(`=${one.name}`, one) }))
    this.#before = { at: now, bytes }
    // A name takes a quarter of the line at most.
    const names = shown.map(({ name }) => shorten(name, Math.max(columns >> 2, 12)))
    const table = [
      ['', 'all', ...names],
      ...COLUMNS.map((column) => [
        column.head.padStart(column.width),
        String(column.all(stats, all)),
        ...each.map(({ one, rates: own }) => String(column.one(one, own))),
      ]),
    ]
    const lines = [this.#titleLine(width, now), ...formatColumns(fitting(table, width))]
    const more = stats.upstreams.length - shown.length
    if (more > 0) lines.push(`and ${more} more upstreams`)
    return lines.slice(0, Math.max(rows - 1, 1)).map((line) => line.trimEnd().slice(0, width))
  }

  #titleLine(width: number, now: number): string {
    const uptime = formatUptime((now - this.#begun) / 1000)
    const end = `, up ${uptime}${this.#stage(now)}`
    return `${shorten(this.#title, Math.max(width - end.length, 0))}${end}`
  }

  #stage(now: number): string {
    if (this.#hasEnded) return ', ended'
    if (this.#drainsUntil === undefined) return ''
    const left = Math.ceil(Math.max(this.#drainsUntil - now, 0) / 1000)
    return `, draining for ${left} s at most`
  }
}

/** The first columns, as many as fit into the width, as rows. */
function fitting(columns: readonly (readonly string[])[], width: number): string[][] {
  let used = -GAP
  const isTooWide = columns.findIndex((cells) => {
    used += GAP + Math.max(...cells.map(({ length }) => length))
    return used > width
  })
  const fit = columns.slice(0, isTooWide < 0 ? columns.length : Math.max(isTooWide, 1))
  return (columns[0] ?? []).map((_, row) => fit.map((cells) => cells[row] ?? ''))
}
