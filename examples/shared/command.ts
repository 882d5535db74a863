/** The command lines of the examples. */

import { realpathSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, type ParseArgsConfig } from 'node:util'

import type { EventBase } from '../../index.js'
import type { HostAndPort, SocketAddress, Target } from '../../net.js'

/** A wrong command line. It is reported by one line on the standard error, and the exit code is 2. */
export class UsageError extends Error {}

type Options = NonNullable<ParseArgsConfig['options']>

type Parsed<O extends Options> = ReturnType<typeof parseArgs<{ options: O; allowPositionals: true }>>

/**
 * Runs an example if `url` is the script that node was started with. Sets the exit code: 0, 1 for a failure, or 2 for a
 * wrong command line. `--help` prints `usage`; the message of a wrong command line refers to it.
 */
export async function main<O extends Options>(
  url: string,
  usage: string,
  options: O,
  run: (values: Parsed<O>['values'], positionals: string[]) => Promise<void>,
): Promise<void> {
  const script = process.argv[1]
  if (script === undefined || realpathSync(script) !== fileURLToPath(url)) return
  try {
    const { values, positionals } = parse(options)
    if ((values as { help?: boolean }).help === true) console.log(usage.trim())
    else await run(values, positionals)
  } catch (error) {
    const wrong = error instanceof UsageError
    const { message } = error as Error
    console.error(wrong ? `${message} (see ${basename(script)} --help)` : message)
    process.exitCode = wrong ? 2 : 1
  }
}

function parse<O extends Options>(options: O): Parsed<O> {
  const all = { ...options, help: { type: 'boolean', short: 'h' } } as const
  try {
    return parseArgs({ options: all, allowPositionals: true }) as Parsed<O>
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

/**
 * Runs a base until SIGINT or SIGTERM, then closes it with its listeners and relays. The signals are handled from the
 * call on, so print messages of readiness after it.
 */
export async function runUntilStopped(base: EventBase): Promise<void> {
  const stop = (): void => void base.loopBreak()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop)
  try {
    await base.run()
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop)
    base.close()
  }
}

/** `HOST:PORT` or `[IPv6]:PORT`. */
export function parseHostAndPort(what: string, text: string | undefined): HostAndPort {
  const match = /^(?:\[(?<six>[^\]]+)\]|(?<host>[^:[\]]+)):(?<port>\d{1,5})$/.exec(text ?? '')
  const host = match?.groups?.['six'] ?? match?.groups?.['host']
  const port = Number(match?.groups?.['port'])
  if (host === undefined || port > 65_535) {
    throw new UsageError(
      text === undefined ? `${what} is missing` : `${what} must be HOST:PORT, not "${text}"`,
    )
  }
  return { host, port }
}

/** As {@link parseHostAndPort}, or `unix:PATH`, or `unix:@NAME` of Linux's abstract namespace. */
export function parseTarget(what: string, text: string | undefined): Target {
  if (text?.startsWith('unix:') !== true) return parseHostAndPort(what, text)
  const path = text.slice('unix:'.length)
  if (path === '' || path === '@') throw new UsageError(`${what} must name a socket, not "${text}"`)
  return { path: path.startsWith('@') ? `\0${path.slice(1)}` : path }
}

/** An integer from `least` to `most`. */
export function parseCount(what: string, text: string, least: number, most: number): number {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (!(count >= least && count <= most)) {
    throw new UsageError(`${what} must be a number from ${least} to ${most}, not "${text}"`)
  }
  return count
}

/** Seconds as whole milliseconds, up to the maximum of Node's timers. */
export function parseSeconds(what: string, text: string): number {
  const seconds = /^\d{1,9}(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (!(seconds <= 1e6)) throw new UsageError(`${what} must be a number of seconds, not "${text}"`)
  return Math.ceil(seconds * 1000)
}

/** The only argument of an example. */
export function onlyArgument(what: string, positionals: readonly string[]): string {
  const [first, ...others] = positionals
  if (first === undefined) throw new UsageError(`${what} is missing`)
  if (others.length > 0) throw new UsageError(`one ${what} is expected, unexpected "${others.join(' ')}"`)
  return first
}

/** An address in the form of the command line. */
export function formatAddress(address: SocketAddress | Target): string {
  if ('path' in address) {
    return `unix:${address.path.startsWith('\0') ? `@${address.path.slice(1)}` : address.path}`
  }
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}
