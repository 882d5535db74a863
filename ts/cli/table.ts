/** The traffic as a table on a terminal, redrawn in its place. */

import type { ProxyStats, UpstreamStats } from '../net/proxy.js'
import { formatBytes, formatColumns, formatMs, formatRate, formatUptime } from './format.js'
import type { Terminal } from './output.js'

const HIDE_CURSOR = '\x1b[?25l'
const SHOW_CURSOR = '\x1b[?25h'
const TO_THE_END = '\x1b[J'

/** A is the client's side, B the upstream's side. The columns at the end are those that a narrow terminal cuts off. */
const HEAD = [
  '',
  'accepted',
  'connected',
  'open',
  'refused',
  'failed',
  'state',
  'A→B/s',
  'B→A/s',
  'connect',
  'A→B',
  'B→A',
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
  /** The number of lines on the screen that belong to the table. */
  #drawn = 0

  /** @param title the line above it */
  constructor(terminal: Terminal, title: string) {
    this.#terminal = terminal
    this.#title = title
  }

  /** Draws the table in the place of the last drawing. */
  draw(stats: ProxyStats): void {
    const lines = this.#lines(stats)
    const head = this.#drawn === 0 ? HIDE_CURSOR : ''
    const isWritten = this.#terminal.write(`${head}${this.#erasure}${lines.join('\n')}\n`)
    if (isWritten) this.#drawn = lines.length
  }

  /** Writes a line above the table. */
  insertAbove(line: string): void {
    if (this.#terminal.write(`${this.#erasure}${line}\n`)) this.#drawn = 0
  }

  /** Keeps the last drawing on the screen, and shows the cursor again. */
  end(): void {
    this.#terminal.write(SHOW_CURSOR)
  }

  get #erasure(): string {
    return this.#drawn === 0 ? '' : `\x1b[${this.#drawn}A\r${TO_THE_END}`
  }

  /** Returns the lines of the table. All fit on the screen: a line that wraps or scrolls away cannot be erased. */
  #lines(stats: ProxyStats): string[] {
    const { columns = 80, rows = 24 } = this.#terminal
    const now = performance.now()
    const since = (now - this.#before.at) / 1000
    const bytes: Drawing['bytes'] = new Map()
    const rates = (key: string, { bytesAToB, bytesBToA }: Bytes): [string, string] => {
      const before = this.#before.bytes.get(key) ?? { bytesAToB, bytesBToA }
      bytes.set(key, { bytesAToB, bytesBToA })
      return [
        formatRate(bytesAToB - before.bytesAToB, since),
        formatRate(bytesBToA - before.bytesBToA, since),
      ]
    }
    const connected = stats.upstreams.reduce((sum, one) => sum + one.connected, 0)
    const sums = [
      'all',
      ...[stats.accepted, connected, stats.open, stats.refused, stats.failed].map(String),
      '',
      ...rates('', stats),
      '',
      ...[stats.bytesAToB, stats.bytesBToA].map(formatBytes),
    ]
    // The title, the head, the sums, the cursor's line, and the number of upstreams that are not shown.
    const room = Math.max(rows - 5, 0)
    const shown = stats.upstreams.slice(0, room)
    const table = [HEAD, sums, ...shown.map((one) => row(one, rates(`=${one.name}`, one)))]
    this.#before = { at: now, bytes }
    const uptime = formatUptime((now - this.#begun) / 1000)
    const lines = [`${this.#title}, up ${uptime}`, ...formatColumns(table)]
    const more = stats.upstreams.length - shown.length
    if (more > 0) lines.push(`and ${more} more upstreams`)
    return lines.slice(0, Math.max(rows - 1, 1)).map((line) => line.trimEnd().slice(0, columns - 1))
  }
}

function row(one: UpstreamStats, rates: [string, string]): string[] {
  const state = one.retryAfter === undefined ? one.state : `down for ${formatMs(one.retryAfter)}`
  return [
    one.name,
    '',
    ...[one.connected, one.open, one.refused, one.failed].map(String),
    state,
    ...rates,
    formatMs(one.connectMs),
    ...[one.bytesAToB, one.bytesBToA].map(formatBytes),
  ]
}
