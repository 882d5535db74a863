/** What a proxy tells beside its statistics. */

/** Something that may be worth knowing; the proxy goes on. */
export type ProxyProblem =
  | {
      /** An upstream did not take a connection. Told at most once a second for each upstream. */
      kind: 'connectFailed'
      /** Which, as in the statistics. */
      upstream: string
      /** What the last connect came to: `ECONNREFUSED`, `ETIMEDOUT`, ... */
      error: Error
      /** How many failed since it was told last, this one included. */
      times: number
    }
  | {
      /** An upstream is passed over from now on. */
      kind: 'upstreamDown'
      upstream: string
      error: Error
      /** Milliseconds until a connection tries it again. */
      retryAfter: number
    }
  | {
      /** An upstream that was passed over took a connection. */
      kind: 'upstreamUp'
      upstream: string
    }
  | {
      /** Descriptors or memory lack, so nothing is accepted for now. Told once until accepting succeeds again. */
      kind: 'acceptFailed'
      error: Error
      /** Milliseconds until it tries again. */
      retryAfter: number
    }
  | {
      /** So many problems were dropped, since they came faster than they were told. */
      kind: 'dropped'
      times: number
    }

/** The same for people. */
export function describeProblem(problem: ProxyProblem): string {
  switch (problem.kind) {
    case 'connectFailed': {
      const times = problem.times > 1 ? ` (${problem.times} times)` : ''
      return `upstream ${problem.upstream}: ${problem.error.message}${times}`
    }
    case 'upstreamDown':
      return `upstream ${problem.upstream} is passed over for ${problem.retryAfter / 1000} s: ${problem.error.message}`
    case 'upstreamUp':
      return `upstream ${problem.upstream} is back`
    case 'acceptFailed':
      return `accepting: ${problem.error.message}`
    case 'dropped':
      return `${problem.times} more problems`
  }
}
