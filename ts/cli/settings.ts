/** The command line of `event-base proxy`. */

import { parseArgs } from 'node:util'

import type { ProxyOptions } from '../net/proxy-options.js'
import { nearest } from './nearest.js'
import { OPTIONS, type OptionName } from './options.js'
import {
  parseAddresses,
  parseBalance,
  parseBytes,
  parseConnections,
  parseListen,
  parseProtocol,
  parseSeconds,
  parseThreads,
  parseUpstreams,
  quote,
} from './parse.js'
import { UsageError } from './usage.js'

/** The settings that a command line specifies. */
export interface Settings {
  proxy: Omit<ProxyOptions, 'onProblem'>
  /** Milliseconds. */
  drainTimeout: number
  stats: boolean
}

/**
 * The default of `--idle-timeout`, in milliseconds. A client or an upstream that has lost its power or its network ends
 * no stream, so without a timeout each such peer holds two descriptors for ever. Ten minutes are longer than the
 * keep-alive intervals of common protocols.
 */
const IDLE_TIMEOUT = 600_000

/** The values of each option, in their order; an option that takes no value has an empty text. */
type Given = ReadonlyMap<OptionName, readonly string[]>

function isOption(name: string): name is OptionName {
  return Object.hasOwn(OPTIONS, name)
}

function unknown(name: string, rawName: string): UsageError {
  const meant = nearest(name, Object.keys(OPTIONS))
  const hint = meant === undefined ? '' : `; did you mean --${meant}?`
  return new UsageError(`unknown option ${quote(rawName)}${hint}`)
}

/** Checks that the option has a value if it needs one, and that only options that allow it are repeated. */
function take(
  given: Map<OptionName, string[]>,
  name: OptionName,
  token: { value?: string | undefined; inlineValue?: boolean | undefined },
): void {
  const option = OPTIONS[name]
  const { value, inlineValue } = token
  if (option.value === undefined) {
    if (value !== undefined) throw new UsageError(`--${name} takes no value, but got ${quote(value)}`)
  } else if (value === undefined) {
    throw new UsageError(`--${name} needs a value: --${name} ${option.value}`)
  } else if (inlineValue !== true && value.startsWith('-')) {
    throw new UsageError(`--${name} needs a value, but ${quote(value)} follows it`)
  }
  const before = given.get(name) ?? []
  if (before.length > 0 && option.multiple !== true) throw new UsageError(`--${name} can be given only once`)
  given.set(name, [...before, value ?? ''])
}

/** Splits the words with Node's parser. Mistakes are described here, in one line each. */
function split(args: string[]): Given {
  const options = Object.fromEntries(
    Object.entries(OPTIONS).map(([name, { value }]) => [
      name,
      { type: value === undefined ? ('boolean' as const) : ('string' as const), multiple: true },
    ]),
  )
  const { tokens } = parseArgs({ args, options, strict: false, allowPositionals: true, tokens: true })
  const given = new Map<OptionName, string[]>()
  for (const token of tokens) {
    if (token.kind === 'positional') throw new UsageError(`unexpected argument ${quote(token.value)}`)
    if (token.kind === 'option-terminator') continue
    // The parser reports a group of short options as its first option. This command has no short options.
    if (!isOption(token.name) || !token.rawName.startsWith('--')) throw unknown(token.name, token.rawName)
    take(given, token.name, token)
  }
  return given
}

function parseWhere(text: string, reusePort: boolean): ProxyOptions['listen'] {
  const where = parseListen('--listen', text)
  if (!reusePort) return where
  if ('host' in where) return { ...where, reusePort }
  throw new UsageError('--reuse-port needs a host and a port to listen at')
}

/** @throws {UsageError} */
export function parseSettings(args: string[]): Settings {
  const given = split(args)
  const parsed = <T>(name: OptionName, parse: (option: string, text: string) => T): T | undefined => {
    const text = given.get(name)?.[0]
    return text === undefined ? undefined : parse(`--${name}`, text)
  }
  const rate = parsed('rate', parseBytes)
  const total = parsed('total-rate', parseBytes)
  const [listen] = given.get('listen') ?? []
  const upstreams = given.get('upstream')
  if (listen === undefined) throw new UsageError('--listen is missing')
  if (upstreams === undefined) throw new UsageError('--upstream is missing')
  return {
    proxy: {
      listen: parseWhere(listen, given.has('reuse-port')),
      upstream: parseUpstreams('--upstream', upstreams),
      threads: parsed('threads', parseThreads) ?? 1,
      balance: parsed('balance', parseBalance),
      addresses: parsed('addresses', parseAddresses),
      lookupInterval: parsed('lookup-interval', parseSeconds),
      connectTimeout: parsed('connect-timeout', parseSeconds),
      idleTimeout: parsed('idle-timeout', parseSeconds) ?? IDLE_TIMEOUT,
      halfCloseTimeout: parsed('half-close-timeout', parseSeconds),
      maxConnections: parsed('max-connections', parseConnections),
      limit: rate === undefined ? undefined : { rate },
      totalLimit: total === undefined ? undefined : { rate: total },
      proxyProtocol: parsed('proxy-protocol', parseProtocol),
    },
    drainTimeout: parsed('drain-timeout', parseSeconds) ?? 10_000,
    stats: given.has('stats'),
  }
}
