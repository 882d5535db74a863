/** What the words of a command line mean. */

import { isIP } from 'node:net'
import { availableParallelism } from 'node:os'

import { upstreamName, type ProxyOptions, type Upstream } from '../net/proxy-options.js'
import { UsageError } from './usage.js'

/** A host and a port, a path, or a descriptor. */
export type Where = { host: string; port: number } | { path: string } | { fd: number }

function parseHostAndPort(option: string, text: string): { host: string; port: number } {
  const match = /^(?:\[(?<six>[^\]]+)\]|(?<host>[^:]+)):(?<port>\d{1,5})$/.exec(text)
  const host = match?.groups?.['six'] ?? match?.groups?.['host']
  const port = Number(match?.groups?.['port'])
  const isSix = match?.groups?.['six'] !== undefined
  if (host === undefined || port > 65_535 || (isSix && isIP(host) !== 6)) {
    throw new UsageError(`${option} must be HOST:PORT, not "${text}"`)
  }
  return { host, port }
}

function parsePath(option: string, text: string): { path: string } {
  const path = text.slice('unix:'.length)
  if (path === '') throw new UsageError(`${option} unix: needs a path`)
  // As ss(8) and others write names in Linux's abstract namespace.
  return { path: path.startsWith('@') ? `\0${path.slice(1)}` : path }
}

/** `HOST:PORT`, `[IPv6]:PORT`, `unix:PATH`, `unix:@NAME` or `fd:N`. */
export function parseListen(text: string | undefined): Where {
  if (text === undefined) throw new UsageError('--listen is missing')
  if (text.startsWith('unix:')) return parsePath('--listen', text)
  const fd = /^fd:(\d{1,9})$/.exec(text)?.[1]
  if (fd !== undefined) return { fd: Number(fd) }
  const where = parseHostAndPort('--listen', text)
  if (isIP(where.host) === 0 && where.host !== 'localhost') {
    throw new UsageError(`--listen needs a numeric address or localhost, not "${where.host}"`)
  }
  return where
}

/** `HOST:PORT` or `unix:PATH`, each perhaps with `,weight=N`. */
export function parseUpstreams(texts: string[] | undefined): Upstream[] {
  if (texts === undefined) throw new UsageError('--upstream is missing')
  const seen = new Set<string>()
  return texts.map((text) => {
    const match = /^(?<where>.*?)(?:,weight=(?<weight>\d{1,3}))?$/.exec(text)
    const where = match?.groups?.['where'] ?? ''
    const weight = Number(match?.groups?.['weight'] ?? 1)
    if (weight < 1 || weight > 256) throw new UsageError(`--upstream: a weight is 1 to 256, not ${weight}`)
    if (seen.has(where)) throw new UsageError(`--upstream ${where} is there twice; ,weight=2 says the same`)
    seen.add(where)
    const target = where.startsWith('unix:')
      ? parsePath('--upstream', where)
      : parseHostAndPort('--upstream', where)
    if ('port' in target && target.port === 0) throw new UsageError(`--upstream cannot be port 0: "${text}"`)
    return { ...target, weight }
  })
}

/** Seconds, as milliseconds. */
export function parseSeconds(option: string, text: string): number {
  const seconds = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (!(seconds <= 1e9)) throw new UsageError(`${option} must be a number of seconds, not "${text}"`)
  return seconds * 1000
}

const UNITS: Readonly<Record<string, number>> = Object.freeze({ '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 })

/** Bytes, perhaps in KiB, MiB or GiB. */
export function parseBytes(option: string, text: string): number {
  const match = /^(?<count>\d+(?:\.\d+)?)(?<unit>[KMG]?)$/i.exec(text)
  const unit = UNITS[(match?.groups?.['unit'] ?? '').toUpperCase()] ?? 1
  const bytes = Math.round(Number(match?.groups?.['count']) * unit)
  if (!(bytes >= 1 && bytes <= Number.MAX_SAFE_INTEGER)) {
    throw new UsageError(`${option} must be a number of bytes above 0, perhaps with K, M or G, not "${text}"`)
  }
  return bytes
}

/** How many threads. */
export function parseThreads(text: string): number {
  if (text === 'auto') return availableParallelism()
  const threads = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (threads < 1 || threads > 1024)
    throw new UsageError(`--threads must be 1 to 1024 or auto, not "${text}"`)
  return threads
}

/** How connections are spread. */
export function parseBalance(text: string): NonNullable<ProxyOptions['balance']> {
  if (text === 'round-robin' || text === 'least-connections') return text
  throw new UsageError(`--balance must be round-robin or least-connections, not "${text}"`)
}

/** The version of the PROXY protocol. */
export function parseProtocol(text: string): 1 | 2 {
  if (text === '1') return 1
  if (text === '2') return 2
  throw new UsageError(`--proxy-protocol must be 1 or 2, not "${text}"`)
}

/** An address as it is written on the command line. */
export function formatWhere(where: Where): string {
  if ('fd' in where) return `fd:${where.fd}`
  if ('path' in where) return `unix:${where.path.replace('\0', '@')}`
  return upstreamName(where)
}
