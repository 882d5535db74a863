/** The problems of a proxy. */

import { EventError } from '../errors.js'
import type { native } from '../native.js'
import { withAddress } from './address.js'
import { notFound } from './lookup.js'

/** A problem of a proxy. The proxy continues after it. */
export type ProxyProblem =
  | {
      /** A connect to an upstream failed. Reported at most once a second for each upstream. */
      kind: 'connectFailed'
      /** The upstream's name in the statistics. */
      upstream: string
      /** The last failure, with `address` and `port`: `ECONNREFUSED`, `ETIMEDOUT`, ... */
      error: Error
      /** The number of failed connects since the last report, including this one. */
      times: number
    }
  | {
      /** An upstream is passed over: each of its servers is down. */
      kind: 'upstreamDown'
      upstream: string
      /** The last failure, with `address` and `port`. */
      error: Error
      /** Milliseconds until a connection probes the upstream. */
      retryAfter: number
    }
  | {
      /** A connect to an upstream that was passed over succeeded, or an upstream that had no address has one. */
      kind: 'upstreamUp'
      upstream: string
    }
  | {
      /**
       * The look-up of a name failed. The addresses of an earlier look-up stay in use; if there are none, the upstream
       * is down until a look-up succeeds.
       */
      kind: 'lookupFailed'
      upstream: string
      /**
       * An error with the code `ENOTFOUND` for every reason of the resolver. The message contains the reason, and
       * `hostname` is the name.
       */
      error: Error
      /** Milliseconds until the next look-up. Missing if this look-up is still in progress. */
      retryAfter?: number
    }
  | {
      /**
       * The proxy cannot accept connections for now: there are no free descriptors or no memory, or other code has shut
       * down the listening socket. Reported once until accepting succeeds again.
       */
      kind: 'acceptFailed'
      error: Error
      /** Milliseconds until the proxy retries. */
      retryAfter: number
    }
  | {
      /** Problems were dropped, because they occurred faster than they were reported; `times` is their number. */
      kind: 'dropped'
      times: number
    }

type NativeProblem = ReturnType<typeof native.proxyTake>[number]

/** Converts a problem that the native layer reports. The result is an error if the proxy itself has failed. */
export function problemFromNative(problem: NativeProblem): ProxyProblem | EventError {
  switch (problem.kind) {
    case 'connectFailed':
    case 'upstreamDown': {
      const { address, ...rest } = problem
      return { ...rest, error: withAddress(problem.error, address) }
    }
    case 'lookupFailed': {
      const { host, reason, ...rest } = problem
      return { ...rest, error: notFound(host, reason) }
    }
    case 'threadFailed':
      return new EventError('ERR_EVENT_INTERNAL', problem.reason)
    default:
      return problem
  }
}

/** Describes a problem to people. */
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
    case 'lookupFailed':
      return `upstream ${problem.upstream}: ${problem.error.message}`
    case 'acceptFailed':
      return `accepting: ${problem.error.message}`
    case 'dropped':
      return `${problem.times} more problems`
  }
}
