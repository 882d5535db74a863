/** Where the traffic and problems of `event-base proxy` are told: on stderr, in one of three forms. */

import { describeProblem, type ProxyProblem } from '../net/proxy-problem.js'
import type { ProxyStats } from '../net/proxy.js'
import { Table, type Terminal } from './table.js'

/** Milliseconds between two tellings of the traffic. */
const EVERY = 1000

/** What is told while a proxy runs. */
export interface Report {
  /** Begins, once there is something to ask. */
  begin(title: string, stats: () => ProxyStats): void
  /** Something went wrong. */
  problem(problem: ProxyProblem): void
  /** Tells the sums, and leaves the terminal as it was. */
  end(): void
}

/** Only problems, in words. */
export class PlainReport implements Report {
  readonly #out: Terminal

  constructor(out: Terminal) {
    this.#out = out
  }

  begin(): void {}

  problem(problem: ProxyProblem): void {
    this.#out.write(`${describeProblem(problem)}\n`)
  }

  end(): void {}
}

/** A line of JSON each second in which anything changed, one for each problem, and one for the sums at the end. */
export class LinesReport implements Report {
  readonly #out: Terminal
  #stats: (() => ProxyStats) | undefined
  #timer: NodeJS.Timeout | undefined
  #last = ''

  constructor(out: Terminal) {
    this.#out = out
  }

  begin(_title: string, stats: () => ProxyStats): void {
    this.#stats = stats
    this.#timer = setInterval(() => {
      const now = stats()
      // Times that only run down are no change.
      const seen = JSON.stringify({
        ...now,
        upstreams: now.upstreams.map((one) => ({ ...one, retryAfter: 0 })),
      })
      if (seen !== this.#last) this.#tell('stats', now)
      this.#last = seen
    }, EVERY).unref()
  }

  problem(problem: ProxyProblem): void {
    const error = 'error' in problem ? { error: problem.error.message, code: codeOf(problem.error) } : {}
    this.#tell('problem', { ...problem, ...error })
  }

  end(): void {
    clearInterval(this.#timer)
    if (this.#stats !== undefined) this.#tell('total', this.#stats())
  }

  #tell(type: 'stats' | 'problem' | 'total', what: object): void {
    this.#out.write(`${JSON.stringify({ type, time: new Date().toISOString(), ...what })}\n`)
  }
}

function codeOf(error: Error): unknown {
  return 'code' in error ? error.code : undefined
}

/** A table on a terminal, with problems above it. */
export class TableReport implements Report {
  readonly #out: Terminal
  #table: Table | undefined
  #draw: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(out: Terminal) {
    this.#out = out
  }

  begin(title: string, stats: () => ProxyStats): void {
    const table = new Table(this.#out, title)
    this.#table = table
    this.#draw = () => table.draw(stats())
    this.#draw()
    this.#timer = setInterval(this.#draw, EVERY).unref()
  }

  problem(problem: ProxyProblem): void {
    if (this.#table === undefined) this.#out.write(`${describeProblem(problem)}\n`)
    this.#table?.tell(describeProblem(problem))
    this.#draw?.()
  }

  end(): void {
    clearInterval(this.#timer)
    this.#draw?.()
    this.#table?.end()
  }
}

/** The form that suits where stderr goes. */
export function reportOn(stream: NodeJS.WriteStream, wantsStats: boolean): Report {
  if (!wantsStats) return new PlainReport(stream)
  return stream.isTTY ? new TableReport(stream) : new LinesReport(stream)
}
