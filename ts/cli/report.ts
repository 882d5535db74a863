/** The reports of `event-base proxy` on stderr: problems and the traffic, in one of three forms. */

import { describeProblem, type ProxyProblem } from '../net/proxy-problem.js'
import type { ProxyStats } from '../net/proxy.js'
import type { Output } from './output.js'
import { Table } from './table.js'

/** Milliseconds between two reports of the traffic. */
const INTERVAL = 1000

/** Reports while a proxy runs. */
export interface Report {
  /** Starts to report the traffic, which `stats` returns. */
  begin(title: string, stats: () => ProxyStats): void
  problem(problem: ProxyProblem): void
  /** Reports the sums, and restores the terminal. */
  end(): void
}

/** Reports only problems, as text. */
class PlainReport implements Report {
  readonly #out: Output

  constructor(out: Output) {
    this.#out = out
  }

  begin(): void {}

  problem(problem: ProxyProblem): void {
    this.#out.write(`${describeProblem(problem)}\n`)
  }

  end(): void {}
}

/**
 * Writes a line of JSON for each second in which a value has changed, for each problem, and for the sums at the end.
 */
class LinesReport implements Report {
  readonly #out: Output
  #stats: (() => ProxyStats) | undefined
  #timer: NodeJS.Timeout | undefined
  #last = ''

  constructor(out: Output) {
    this.#out = out
    out.describeDropped = (lines) => format('dropped', { lines })
  }

  begin(_title: string, stats: () => ProxyStats): void {
    this.#stats = stats
    this.#timer = setInterval(() => {
      const now = stats()
      // A remaining time that only decreases is not a change.
      const seen = JSON.stringify({
        ...now,
        upstreams: now.upstreams.map((one) => ({ ...one, retryAfter: 0 })),
      })
      if (seen !== this.#last) this.#out.write(format('stats', now))
      this.#last = seen
    }, INTERVAL).unref()
  }

  problem(problem: ProxyProblem): void {
    const error = 'error' in problem ? { error: problem.error.message, code: codeOf(problem.error) } : {}
    this.#out.write(format('problem', { ...problem, ...error }))
  }

  end(): void {
    clearInterval(this.#timer)
    if (this.#stats !== undefined) this.#out.write(format('total', this.#stats()))
  }
}

function format(type: 'stats' | 'problem' | 'total' | 'dropped', fields: object): string {
  return `${JSON.stringify({ type, time: new Date().toISOString(), ...fields })}\n`
}

function codeOf(error: Error): unknown {
  return 'code' in error ? error.code : undefined
}

/** Draws a table on a terminal, with problems above it. */
class TableReport implements Report {
  readonly #out: Output
  #table: Table | undefined
  #draw: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(out: Output) {
    this.#out = out
    // A message would be written inside the table. The counters in the table are correct without it.
    out.describeDropped = () => ''
  }

  begin(title: string, stats: () => ProxyStats): void {
    const table = new Table(this.#out, title)
    this.#table = table
    this.#draw = () => table.draw(stats())
    this.#draw()
    this.#timer = setInterval(this.#draw, INTERVAL).unref()
  }

  problem(problem: ProxyProblem): void {
    if (this.#table === undefined) this.#out.write(`${describeProblem(problem)}\n`)
    this.#table?.insertAbove(describeProblem(problem))
    this.#draw?.()
  }

  end(): void {
    clearInterval(this.#timer)
    this.#draw?.()
    this.#table?.end()
  }
}

/** Returns the form that suits the stream. */
export function reportOn(out: Output, wantsStats: boolean): Report {
  if (!wantsStats) return new PlainReport(out)
  return out.isTerminal ? new TableReport(out) : new LinesReport(out)
}
