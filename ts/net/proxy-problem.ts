/** The problems of a proxy. */

import { EventError } from '../errors.js'
import type { native } from '../native.js'
import { withAddress } from './address.js'
import { notFound } from './lookup.js'

/** A problem of a proxy, which continues. */
export type ProxyProblem =
  | {
      /** An upstream could not be connected to. Reported at most once a second for each upstream. */
      kind: 'connectFailed'
      /** The upstream's name in the statistics. */
      upstream: string
      /** The last failure, with `address` and `port`: `ECONNREFUSED`, `ETIMEDOUT`, ... */
      error: Error
      /** The number of failed connects since the last report, this one included. */
      times: number
    }
  | {
      /** An upstream is passed over: each of its servers is down. */
      kind: 'upstreamDown'
      upstream: string
      /** The last failure, with `address` and `port`. */
      error: Error
      /** Milliseconds until a connection probes it. */
      retryAfter: number
    }
  | {
      /** A connect succeeded to an upstream that was passed over, or an upstream without addresses has one. */
      kind: 'upstreamUp'
      upstream: string
    }
  | {
      /**
       * A name could not be looked up. The addresses that it had stay in use; without any, the upstream is down until
       * a look-up succeeds.
       */
      kind: 'lookupFailed'
      upstream: string
      /** `ENOTFOUND`, whatever the resolver's reason, which is in the message. It has the `hostname`. */
      error: Error
      /** Milliseconds until the next look-up. Missing while this one is still in progress. */
      retryAfter?: number
    }
  | {
      /**
       * Nothing is accepted for now: descriptors or memory ran out, or the listening socket was shut down elsewhere.
       * Reported once until accepting succeeds again.
       */
      kind: 'acceptFailed'
      error: Error
      /** Milliseconds until it tries again. */
      retryAfter: number
    }
  | {
      /** This number of problems was dropped, because they came faster than they were taken. */
      kind: 'dropped'
      times: number
    }

type NativeProblem = ReturnType<typeof native.proxyTake>[number]

/** The problem that the native layer reports; an error for a failure of the proxy itself. */
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
