/** The traffic as a table that is drawn anew in its place on a terminal. */

import type { ProxyStats, UpstreamStats } from '../net/proxy.js'
import { formatBytes, formatColumns, formatMs, formatRate, formatUptime } from './format.js'

/** As much of a terminal as is needed. */
export interface Terminal {
  columns?: number
  rows?: number
  write(text: string): unknown
}

const HIDE_CURSOR = '\x1b[?25l'
const SHOW_CURSOR = '\x1b[?25h'
const TO_THE_END = '\x1b[J'

const HEAD = ['', 'taken', 'open', 'refused', 'failed', 'up/s', 'down/s', 'up', 'down', 'connect', 'state']

/** What changes from one drawing to the next. */
interface Rates {
  at: number
  bytes: Map<string, { up: number; down: number }>
}

/** A table on a terminal. */
export class Table {
  readonly #terminal: Terminal
  readonly #title: string
  readonly #begun: number = performance.now()
  #before: Rates = { at: this.#begun, bytes: new Map() }
  /** Lines on the screen that are the table's. */
  #drawn = 0

  /** @param title stands above it */
  constructor(terminal: Terminal, title: string) {
    this.#terminal = terminal
    this.#title = title
  }

  /** Draws it, in the place of the last drawing. */
  draw(stats: ProxyStats): void {
    const lines = this.#lines(stats)
    const head = this.#drawn === 0 ? HIDE_CURSOR : ''
    this.#terminal.write(`${head}${this.#erasure}${lines.join('\n')}\n`)
    this.#drawn = lines.length
  }

  /** Puts a line above it. */
  tell(line: string): void {
    this.#terminal.write(`${this.#erasure}${line}\n`)
    this.#drawn = 0
  }

  /** Leaves the last drawing, and the terminal as it was. */
  end(): void {
    this.#terminal.write(SHOW_CURSOR)
  }

  get #erasure(): string {
    return this.#drawn === 0 ? '' : `\x1b[${this.#drawn}A\r${TO_THE_END}`
  }

  /** All of it within the screen: a line that wraps, or scrolls away, could not be taken back. */
  #lines(stats: ProxyStats): string[] {
    const { columns = 80, rows = 24 } = this.#terminal
    const now = performance.now()
    const since = (now - this.#before.at) / 1000
    const bytes: Rates['bytes'] = new Map()
    const rate = (key: string, up: number, down: number): [string, string] => {
      const before = this.#before.bytes.get(key) ?? { up, down }
      bytes.set(key, { up, down })
      return [formatRate(up - before.up, since), formatRate(down - before.down, since)]
    }
    const sums = [
      'all',
      ...[stats.accepted, stats.open, stats.refused, stats.failed].map(String),
      ...rate('', stats.bytesUp, stats.bytesDown),
      ...[stats.bytesUp, stats.bytesDown].map(formatBytes),
      '',
      '',
    ]
    // The title, the head, the sums, the line that the cursor is in, and perhaps one that tells of the rest.
    const room = Math.max(rows - 5, 0)
    const shown = stats.upstreams.slice(0, room)
    const table = [
      HEAD,
      sums,
      ...shown.map((one) => row(one, rate(`=${one.name}`, one.bytesUp, one.bytesDown))),
    ]
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
    ...[one.connected, one.open, one.refused, one.failed].map(String),
    ...rates,
    ...[one.bytesUp, one.bytesDown].map(formatBytes),
    formatMs(one.connectMs),
    state,
  ]
}
