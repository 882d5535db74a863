/** The values of options. Each function throws a {@link UsageError} for a text that it does not accept. */

import { availableParallelism } from 'node:os'

import { familyOf, formatAddress, type SocketAddress, type Target } from '../net/address.js'
import { MOST_UPSTREAMS, MOST_WEIGHT, type ProxyOptions, type Upstream } from '../net/proxy-options.js'
import { UsageError } from './usage.js'

/** A host and a port, a path, or a descriptor. */
export type Where = Target | { fd: number }

/** Quotes a text of the command line, so that it fits in one line of a message. */
export function quote(text: string): string {
  return JSON.stringify(text)
}

function parseHostAndPort(option: string, text: string): { host: string; port: number } {
  const match = /^(?:\[(?<six>[^\]]+)\]|(?<host>[^:]+)):(?<port>\d{1,5})$/.exec(text)
  const host = match?.groups?.['six'] ?? match?.groups?.['host']
  const port = Number(match?.groups?.['port'])
  const isSix = match?.groups?.['six'] !== undefined
  if (host === undefined || port > 65_535 || (isSix && familyOf(host) !== 6)) {
    throw new UsageError(`${option} must be HOST:PORT, not ${quote(text)}`)
  }
  return { host, port }
}

function parsePath(option: string, text: string): { path: string } {
  const path = text.slice('unix:'.length)
  if (path === '') throw new UsageError(`${option} unix: needs a path`)
  // ss(8) writes names in Linux's abstract namespace with an @, see unix(7).
  return { path: path.startsWith('@') ? `\0${path.slice(1)}` : path }
}

/** Parses `HOST:PORT`, `[IPv6]:PORT`, `unix:PATH`, `unix:@NAME` or `fd:N`. */
export function parseListen(option: string, text: string): Where {
  if (text.startsWith('unix:')) return parsePath(option, text)
  const fd = /^fd:(\d{1,9})$/.exec(text)?.[1]
  if (fd !== undefined) return { fd: Number(fd) }
  const where = parseHostAndPort(option, text)
  if (familyOf(where.host) === 0 && where.host !== 'localhost') {
    throw new UsageError(`${option} needs a numeric address or localhost, not ${quote(where.host)}`)
  }
  return where
}

function parseWeight(option: string, text: string): number {
  const weight = /^\d{1,3}$/.test(text) ? Number(text) : 0
  if (weight < 1 || weight > MOST_WEIGHT) {
    throw new UsageError(`${option}: a weight is 1 to ${MOST_WEIGHT}, not ${quote(text)}`)
  }
  return weight
}

/** Parses `HOST:PORT` or `unix:PATH`, each with an optional `,weight=N`. */
export function parseUpstreams(option: string, texts: readonly string[]): Upstream[] {
  if (texts.length > MOST_UPSTREAMS) {
    throw new UsageError(`${option} can be given ${MOST_UPSTREAMS} times, not ${texts.length} times`)
  }
  const seen = new Set<string>()
  return texts.map((text) => {
    const [, where = text, weight = '1'] = /^(.*),weight=(.*)$/s.exec(text) ?? []
    const target = where.startsWith('unix:') ? parsePath(option, where) : parseHostAndPort(option, where)
    if ('port' in target && target.port === 0) {
      throw new UsageError(`${option} cannot be port 0: ${quote(text)}`)
    }
    const name = formatWhere(target)
    if (seen.has(name)) {
      throw new UsageError(`${option} ${quote(name)} is given twice; ,weight=2 has the same effect`)
    }
    seen.add(name)
    return { ...target, weight: parseWeight(option, weight) }
  })
}

/** The largest number of seconds: more than 31 years. */
const MAX_SECONDS = 1e9

/** Parses seconds, and returns milliseconds. */
export function parseSeconds(option: string, text: string): number {
  const seconds = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (!(seconds <= MAX_SECONDS)) {
    throw new UsageError(`${option} must be a number of seconds from 0 to ${MAX_SECONDS}, not ${quote(text)}`)
  }
  return seconds * 1000
}

const UNITS: Readonly<Record<string, number>> = Object.freeze({ '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 })

/** Parses a number of bytes, KiB, MiB or GiB, and returns bytes. */
export function parseBytes(option: string, text: string): number {
  const match = /^(?<count>\d+(?:\.\d+)?)(?<unit>[KMG]?)$/i.exec(text)
  const unit = UNITS[(match?.groups?.['unit'] ?? '').toUpperCase()] ?? 1
  const bytes = Math.round(Number(match?.groups?.['count']) * unit)
  if (!(bytes >= 1 && bytes <= Number.MAX_SAFE_INTEGER)) {
    throw new UsageError(
      `${option} must be a number of bytes above 0, optionally with K, M or G, not ${quote(text)}`,
    )
  }
  return bytes
}

/** Parses a number of threads. */
export function parseThreads(option: string, text: string): number {
  if (text === 'auto') return availableParallelism()
  const threads = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (threads < 1 || threads > 1024) {
    throw new UsageError(`${option} must be 1 to 1024 or auto, not ${quote(text)}`)
  }
  return threads
}

/** Parses a number of connections; 0 means no limit. */
export function parseConnections(option: string, text: string): number {
  const count = /^\d{1,10}$/.test(text) ? Number(text) : -1
  if (count < 0 || count > 0x7fff_ffff) {
    throw new UsageError(`${option} must be a number from 0 to ${0x7fff_ffff}, not ${quote(text)}`)
  }
  return count
}

/** Parses how connections are spread over the servers. */
export function parseBalance(option: string, text: string): NonNullable<ProxyOptions['balance']> {
  if (text === 'round-robin' || text === 'least-connections') return text
  throw new UsageError(`${option} must be round-robin or least-connections, not ${quote(text)}`)
}

/** Parses how several addresses of a name are used. */
export function parseAddresses(option: string, text: string): NonNullable<ProxyOptions['addresses']> {
  if (text === 'all' || text === 'one') return text
  throw new UsageError(`${option} must be all or one, not ${quote(text)}`)
}

/** Parses the version of the PROXY protocol. */
export function parseProtocol(option: string, text: string): 1 | 2 {
  if (text === '1') return 1
  if (text === '2') return 2
  throw new UsageError(`${option} must be 1 or 2, not ${quote(text)}`)
}

/** Formats an address as it is written on the command line. */
export function formatWhere(where: Where | SocketAddress): string {
  return 'fd' in where ? `fd:${where.fd}` : formatAddress(where)
}
