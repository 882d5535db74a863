/** Options, whatever they hold: they are taken, or refused with a code. */

import * as fc from 'fast-check'
import { expect } from 'vitest'

import { EventConfig } from '../../ts/config.js'
import { inheritedDescriptors } from '../../ts/net/inherited.js'
import { checkBindOptions } from '../../ts/net/bind.js'
import { OPTION_KINDS, checkOption, toNativeValue } from '../../ts/net/options.js'
import { checkProxyOptions, checkUpstreams, type ProxyOptions } from '../../ts/net/proxy-options.js'
import { checkLimit } from '../../ts/net/rate-group.js'
import { attempt, property, type Property } from './support.js'

/** Values whose type an error message cannot name. */
const oddNames: readonly unknown[] = [
  Object.defineProperty(() => {}, 'name', { value: Symbol('odd') }),
  Object.assign(() => {}, { toString: () => Symbol('odd') }),
  { constructor: { name: Symbol('odd') } },
  { constructor: null },
  Object.create(null),
  Object.defineProperty({}, 'constructor', { get: () => undefined }),
]

const odd = fc.constantFrom<unknown>(
  undefined,
  null,
  true,
  false,
  0,
  -0,
  -1,
  1,
  1.5,
  255,
  256,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  1e300,
  Infinity,
  Number.NaN,
  '',
  '0',
  '1',
  1n,
  Symbol('odd'),
  () => {},
  [],
  {},
  new Date(0),
  { valueOf: () => 1 },
  new Proxy({}, {}),
  ...oddNames,
)
const anything = fc.oneof(odd, fc.integer(), fc.double(), fc.anything())

/** An object with some of these properties, each valid or anything. */
function objectOf(valid: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> {
  const each = Object.fromEntries(
    Object.entries(valid).map(([name, one]) => [name, fc.oneof({ weight: 12, arbitrary: one }, anything)]),
  )
  return fc.oneof({ weight: 12, arbitrary: fc.record(each, { requiredKeys: [] }) }, anything)
}

const time = fc.oneof(fc.nat(), fc.double({ min: 0, max: 1e12, noNaN: true }))
const count = fc.nat(5000)
const limit = objectOf({ rate: count, burst: count })
const bind = {
  backlog: count,
  reusePort: fc.boolean(),
  ipv6Only: fc.boolean(),
  transparent: fc.boolean(),
  freeBind: fc.boolean(),
  fastOpen: count,
  deferAccept: time,
  noDelay: fc.boolean(),
  keepAlive: fc.boolean(),
  keepAliveIdle: time,
}
const target = {
  host: fc.constantFrom('127.0.0.1', '::1', 'localhost', 'example.org', ''),
  port: fc.nat(70_000),
}
const upstream = objectOf({ ...target, weight: fc.nat(300) })
const proxy = objectOf({
  listen: objectOf({ ...target, ...bind, batch: count }),
  upstream: fc.oneof(upstream, fc.array(upstream, { maxLength: 3 })),
  threads: fc.nat(1100),
  balance: fc.constantFrom('round-robin', 'least-connections'),
  addresses: fc.constantFrom('all', 'one'),
  lookupInterval: time,
  connectTimeout: time,
  idleTimeout: time,
  halfCloseTimeout: time,
  maxConnections: count,
  limit,
  totalLimit: limit,
  proxyProtocol: fc.constantFrom(1, 2),
  health: objectOf({ failures: count, backoff: time, maxBackoff: time }),
  onProblem: fc.constant(() => {}),
})

const method = fc.constantFrom(
  ...([
    'avoidMethod',
    'requireFeatures',
    'setFlags',
    'setMaxDispatchInterval',
    'setPriorities',
    'measure',
  ] as const),
  ...(['debug', 'setNumCpusHint'] as const),
)
const argument = fc.oneof(
  anything,
  fc.nat(300),
  objectOf({ interval: time, callbacks: count, minPriority: fc.nat(300) }),
  fc.constantFrom('epoll', 'poll', 'select'),
)

const variable = fc.oneof(
  fc.constantFrom(String(process.pid), '0', '1', '-1', '1e1', ' 1', '4294967296', '', 'a:b', '::'),
  fc.string(),
)

export const options: readonly Property[] = [
  property('the options of a proxy are taken, or refused with a code', proxy, [{}, null, 1], (given) => {
    attempt(() => checkProxyOptions(withoutDescriptor(given) as ProxyOptions))
  }),

  property(
    'upstreams are taken, or refused with a code',
    fc.array(upstream),
    oddNames.map((one) => [one]),
    (list) => {
      const checked = attempt(() => checkUpstreams('list', list as ProxyOptions['upstream']))
      if (!('value' in checked)) return
      for (const { weight, name } of checked.value) {
        expect(Number.isInteger(weight) && weight >= 1 && weight <= 256).toBe(true)
        expect(name).not.toBe('')
      }
    },
  ),

  property('the options for binding are taken, or refused with a code', objectOf(bind), [], (given) => {
    attempt(() => checkBindOptions('options', (given ?? {}) as object))
  }),

  property(
    'limits are taken as whole numbers, or refused with a code',
    limit,
    [{ rate: 1 }, ...oddNames.map((rate) => ({ rate }))],
    (given) => {
      const checked = attempt(() => checkLimit('limit', given as { rate: number }))
      if (!('value' in checked)) return
      expect(checked.value.rate >= 1 && checked.value.burst >= 1).toBe(true)
    },
  ),

  property(
    'the value of a socket option is taken as a number, or refused with a code',
    fc.tuple(
      fc.oneof(fc.constantFrom<unknown>(...Object.keys(OPTION_KINDS), '__proto__', 'constructor'), anything),
      anything,
    ),
    [],
    ([name, value]) => {
      const found = attempt(() => toNativeValue(checkOption(name as string), value as number))
      if ('value' in found) expect(found.value).toBeTypeOf('number')
    },
  ),

  property(
    'a configuration is taken, or refused with a code, and builds a base or reports that no backend fits',
    fc.array(fc.tuple(method, argument), { maxLength: 6 }),
    [],
    (calls) => {
      const config = new EventConfig()
      for (const [name, value] of calls) attempt(() => (config[name] as (value: unknown) => unknown)(value))
      const built = attempt(() => config.build())
      if ('value' in built) built.value.close()
      else expect(built.code).toBe('ERR_EVENT_NO_METHOD')
    },
  ),

  property(
    "a service manager's variables are taken, or refused with a code",
    fc.tuple(variable, variable, fc.option(variable, { nil: undefined })),
    [[String(process.pid), '1', 'a:b']],
    ([pid, fds, names]) => {
      // Descriptors that are open already are not touched: for this process, a number above 0 is used only with a wrong
      // number of names.
      const isUsed = Number(pid) === process.pid && Number(fds) > 0
      if (isUsed && (names === undefined || names.split(':').length === Number(fds))) return
      const set = { LISTEN_PID: pid, LISTEN_FDS: fds, LISTEN_FDNAMES: names }
      for (const [name, value] of Object.entries(set)) {
        if (value === undefined) delete process.env[name]
        else process.env[name] = value
      }
      try {
        attempt(() => inheritedDescriptors({ unset: true }))
        expect(process.env['LISTEN_FDS']).toBeUndefined()
      } finally {
        for (const name of Object.keys(set)) delete process.env[name]
      }
    },
  ),
]

/** The same options, but without a descriptor to listen with, which would be used. */
function withoutDescriptor(given: unknown): unknown {
  const { listen, ...rest } = (given ?? {}) as { listen?: unknown }
  if (typeof listen !== 'object' || listen === null) return given
  return { ...rest, listen: { ...listen, fd: undefined } }
}
