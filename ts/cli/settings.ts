/** The command line of `event-base proxy`. */

import { parseArgs } from 'node:util'

import type { ProxyOptions, Upstream } from '../net/proxy-options.js'
import {
  parseBalance,
  parseBytes,
  parseListen,
  parseProtocol,
  parseSeconds,
  parseThreads,
  parseUpstreams,
  type Where,
} from './parse.js'
import { UsageError } from './usage.js'

/** What was asked for. */
export interface Settings {
  listen: Where
  upstreams: Upstream[]
  /** Missing: on the main thread. */
  threads: number | undefined
  /** What both ways of forwarding are told. */
  options: Required<Pick<ProxyOptions, 'balance' | 'connectTimeout' | 'idleTimeout'>> &
    Pick<ProxyOptions, 'limit' | 'proxyProtocol' | 'totalLimit'>
  /** Milliseconds. */
  drainTimeout: number
  stats: boolean
}

/** @throws {UsageError} */
export function parseSettings(args: string[]): Settings {
  const { values } = refusing(() =>
    parseArgs({
      args,
      options: {
        listen: { type: 'string' },
        upstream: { type: 'string', multiple: true },
        threads: { type: 'string' },
        balance: { type: 'string', default: 'round-robin' },
        'connect-timeout': { type: 'string', default: '10' },
        'idle-timeout': { type: 'string', default: '0' },
        rate: { type: 'string' },
        'total-rate': { type: 'string' },
        'proxy-protocol': { type: 'string' },
        'drain-timeout': { type: 'string', default: '10' },
        stats: { type: 'boolean', default: false },
      },
    }),
  )
  const { rate, threads, 'proxy-protocol': protocol, 'total-rate': total } = values
  return {
    listen: parseListen(values.listen),
    upstreams: parseUpstreams(values.upstream),
    threads: threads === undefined ? undefined : parseThreads(threads),
    options: {
      balance: parseBalance(values.balance),
      connectTimeout: parseSeconds('--connect-timeout', values['connect-timeout']),
      idleTimeout: parseSeconds('--idle-timeout', values['idle-timeout']),
      limit: rate === undefined ? undefined : { rate: parseBytes('--rate', rate) },
      totalLimit: total === undefined ? undefined : { rate: parseBytes('--total-rate', total) },
      proxyProtocol: protocol === undefined ? undefined : parseProtocol(protocol),
    },
    drainTimeout: parseSeconds('--drain-timeout', values['drain-timeout']),
    stats: values.stats,
  }
}

function refusing<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}
