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
  /** Reports that no more connections are accepted, and that those that are open have a time in milliseconds to end. */
  drain(timeout: number): void
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

  drain(): void {}

  end(): void {}
}

/**
 * Writes a line of JSON for each second in which a value has changed, for each problem, for the start of a drain, and for
 * the sums at the end.
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

  drain(timeout: number): void {
    this.#out.write(format('drain', { timeout, open: this.#stats?.().open ?? 0 }))
  }

  end(): void {
    clearInterval(this.#timer)
    if (this.#stats !== undefined) this.#out.write(format('total', this.#stats()))
  }
}

function format(type: 'stats' | 'problem' | 'drain' | 'total' | 'dropped', fields: object): string {
  return `${JSON.stringify({ type, time: new Date().toISOString(), ...fields })}\n`
}

function codeOf(error: Error): unknown {
  return 'code' in error ? error.code : undefined
}

/** Draws a table on a terminal, with problems above it. */
class TableReport implements Report {
  readonly #out: Output
  #table: Table | undefined
  #stats: (() => ProxyStats) | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(out: Output) {
    this.#out = out
    // A message would be written inside the table. The counters in the table are correct without it.
    out.describeDropped = () => ''
  }

  begin(title: string, stats: () => ProxyStats): void {
    this.#table = new Table(this.#out, title)
    this.#stats = stats
    this.#draw()
    this.#timer = setInterval(() => this.#draw(), INTERVAL).unref()
    this.#out.onResize(() => this.#draw())
  }

  problem(problem: ProxyProblem): void {
    if (this.#table === undefined) this.#out.write(`${describeProblem(problem)}\n`)
    this.#table?.insertAbove(describeProblem(problem))
    this.#draw()
  }

  drain(timeout: number): void {
    this.#table?.drain(timeout)
    this.#draw()
  }

  end(): void {
    clearInterval(this.#timer)
    if (this.#stats !== undefined) this.#table?.end(this.#stats())
    this.#table = undefined
  }

  #draw(): void {
    if (this.#stats !== undefined) this.#table?.draw(this.#stats())
  }
}

/** Returns the form that suits the stream. */
export function reportOn(out: Output, wantsStats: boolean): Report {
  if (!wantsStats) return new PlainReport(out)
  return out.isTerminal ? new TableReport(out) : new LinesReport(out)
}
