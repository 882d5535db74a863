/** The command line of the proxy. */

import * as fc from 'fast-check'
import { expect } from 'vitest'

import { OPTIONS } from '../../ts/cli/options.js'
import {
  formatWhere,
  parseBytes,
  parseListen,
  parseSeconds,
  parseThreads,
  parseUpstreams,
} from '../../ts/cli/parse.js'
import { parseSettings, type Settings } from '../../ts/cli/settings.js'
import { UsageError } from '../../ts/cli/usage.js'
import { checkUpstreams, checkProxyOptions } from '../../ts/net/proxy-options.js'
import { checkNumericTarget } from '../../ts/net/address.js'
import { anyText, property, textChangesOf, texts, wordsOf, type Property } from './support.js'

/** The result of a parser, or `undefined` if it has refused its input as a mistake in one line. */
function accepted<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError)
    expect((error as Error).message).not.toMatch(/[\r\n]/)
    return undefined
  }
}

const words = wordsOf(
  '127.0.0.1',
  '[::1]',
  '[',
  ']',
  ':',
  '80',
  '080',
  '65535',
  '65536',
  'localhost',
  'unix:',
  '/a',
  '@',
  'fd:',
  ',weight=',
  '2',
  '256',
  '257',
  '1.5',
  'example.org',
  '%',
  'fe80::1%1',
  '\n',
  ' ',
  'é',
  '0',
  ',',
)
const wheres = fc.oneof(words, anyText, textChangesOf(texts('where'), words))

const numbers = fc.oneof(
  wordsOf(
    '0',
    '1',
    '9',
    '.',
    'e',
    '-',
    '+',
    'K',
    'M',
    'G',
    'k',
    ' ',
    'Infinity',
    '0x',
    '_',
    'auto',
    '99999999',
  ),
  fc.double().map(String),
  fc.bigInt({ min: 0n, max: 2n ** 80n }).map(String),
  anyText,
)

const names = Object.keys(OPTIONS)
const values = fc.oneof(
  wheres,
  numbers,
  fc.constantFrom('round-robin', 'least-connections', 'all', 'one', '1', '2'),
)
const argument = fc.oneof(
  fc.constantFrom(...names).map((name) => [`--${name}`]),
  fc.tuple(fc.constantFrom(...names), values).map(([name, value]) => [`--${name}`, value]),
  fc.tuple(fc.constantFrom(...names), values).map(([name, value]) => [`--${name}=${value}`]),
  fc.constantFrom(['--'], ['-h'], ['--no-stats'], ['--__proto__=1'], ['--constructor', 'x'], ['']),
  anyText.map((text) => [text]),
)
const base = ['--listen', '127.0.0.1:0', '--upstream', '127.0.0.1:9']
const lines = fc
  .tuple(fc.boolean(), fc.array(argument, { maxLength: 5 }))
  .map(([isWhole, parts]) => [...(isWhole ? base : []), ...parts.flat()])

/** A line of the corpus is a file, with one word in each line. */
const examples = texts('command-line').map((text) => text.replace(/\n$/, '').split('\n'))

/** Settings as a command line. */
function format({ proxy, drainTimeout, stats }: Settings): string[] {
  const upstreams = [proxy.upstream].flat()
  const options: Record<string, string | number | undefined> = {
    threads: proxy.threads,
    balance: proxy.balance,
    addresses: proxy.addresses,
    'lookup-interval': seconds(proxy.lookupInterval),
    'connect-timeout': seconds(proxy.connectTimeout),
    'idle-timeout': seconds(proxy.idleTimeout),
    'half-close-timeout': seconds(proxy.halfCloseTimeout),
    'max-connections': proxy.maxConnections,
    rate: proxy.limit?.rate,
    'total-rate': proxy.totalLimit?.rate,
    'proxy-protocol': proxy.proxyProtocol,
    'drain-timeout': seconds(drainTimeout),
  }
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  return [
    `--listen=${formatWhere(proxy.listen as Parameters<typeof formatWhere>[0])}`,
    ...upstreams.map((one) => `--upstream=${formatWhere(one)},weight=${one.weight}`),
    ...given.map(([name, value]) => `--${name}=${value}`),
    ...('reusePort' in proxy.listen ? ['--reuse-port'] : []),
    ...(stats ? ['--stats'] : []),
  ]
}

/** Milliseconds as the command line has them. */
function seconds(milliseconds: number | undefined): string | undefined {
  if (milliseconds === undefined) return undefined
  const text = (milliseconds / 1000).toFixed(20)
  return text.includes('.') ? text.replace(/0+$/, '').replace(/\.$/, '') : text
}

/** The options that the proxy would get. A descriptor is not taken. */
function check({ proxy }: Settings): void {
  const { listen } = proxy
  checkProxyOptions({ ...proxy, listen: 'fd' in listen ? { host: '127.0.0.1', port: 0 } : listen })
}

export const commandLine: readonly Property[] = [
  property(
    'a place to listen at is the same after formatting, or refused',
    wheres,
    texts('where'),
    (text) => {
      const where = accepted(() => parseListen('--listen', text))
      if (where === undefined) return
      expect(parseListen('--listen', formatWhere(where))).toEqual(where)
      if (!('fd' in where)) checkNumericTarget('listen', where)
    },
  ),

  property(
    'upstreams are the same after formatting, or refused',
    fc.array(wheres, { minLength: 1, maxLength: 4 }),
    texts('where').map((text) => [text]),
    (list) => {
      const upstreams = accepted(() => parseUpstreams('--upstream', list))
      if (upstreams === undefined) return
      checkUpstreams('upstream', upstreams)
      const formatted = upstreams.map((one) => `${formatWhere(one)},weight=${one.weight}`)
      expect(parseUpstreams('--upstream', formatted)).toEqual(upstreams)
    },
  ),

  property(
    'durations, sizes and counts are in their range, or refused',
    numbers,
    ['1.5', '2K', 'auto'],
    (text) => {
      const milliseconds = accepted(() => parseSeconds('--s', text))
      if (milliseconds !== undefined) {
        expect(milliseconds).toBeGreaterThanOrEqual(0)
        expect(milliseconds).toBeLessThanOrEqual(1e12)
      }
      const bytes = accepted(() => parseBytes('--rate', text))
      if (bytes !== undefined) {
        expect(Number.isSafeInteger(bytes) && bytes >= 1).toBe(true)
        expect(parseBytes('--rate', String(bytes))).toBe(bytes)
      }
      const threads = accepted(() => parseThreads('--threads', text))
      if (threads !== undefined)
        expect(Number.isInteger(threads) && threads >= 1 && threads <= 1024).toBe(true)
    },
  ),

  property('a command line is the same after formatting, or refused', lines, examples, (args) => {
    const settings = accepted(() => parseSettings(args))
    if (settings === undefined) return
    check(settings)
    expect(parseSettings(format(settings))).toEqual(settings)
  }),
]
