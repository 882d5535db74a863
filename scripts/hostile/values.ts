// Values that a correct program does not pass.
import { createContext, runInContext } from 'node:vm'

import { HostileError } from './judge.js'
import type { World } from './world.js'

/** Numbers outside most ranges. None of them may be a descriptor of this process. */
const NUMBERS: readonly number[] = [
  Number.NaN,
  Infinity,
  -Infinity,
  -1,
  -2.5,
  0.5,
  1.000_000_1,
  1_000_007,
  0x7fff_ffff,
  0x8000_0000,
  0xffff_ffff,
  0x1_0000_0000,
  Number.MAX_SAFE_INTEGER,
  2 ** 53,
  Number.MIN_SAFE_INTEGER,
  Number.MAX_VALUE,
  Number.MIN_VALUE,
]

const realm = createContext({})
/** Makes a value of another realm. */
function foreign(source: string): unknown {
  return runInContext(source, realm)
}

/** A class whose static `name` is no string. */
const Nameless: unknown = Object.defineProperty(function () {}, 'name', { value: Symbol('name') })

/** A value of a wrong type, or a number outside its range. Reading it may run hostile code. */
export function nonsense(world: World): unknown {
  const { random } = world
  if (random.chance(0.4)) return random.pick(NUMBERS)
  const run = (): number => {
    world.misbehave()
    return random.pick([-1, 1_000_007])
  }
  const kinds: readonly (() => unknown)[] = [
    () => undefined,
    () => null,
    () => '',
    () => 'A',
    () => `${'A'.repeat(300)}\0`,
    () => 'AAA',
    () => Symbol('nonsense'),
    () => 10n,
    () => ({}),
    () => [],
    () => [-1],
    () => Object.create(null) as unknown,
    () => Object.defineProperty({}, 'constructor', { get: () => (run(), undefined) }),
    () => Object.defineProperty(() => {}, 'name', { get: run }),
    () => () => world.misbehave(),
    () => Nameless,
    () => new (Nameless as new () => unknown)(),
    () => Object.assign(Object.create({ constructor: { name: Symbol('name') } }) as object, { a: 1 }),
    () => ({ valueOf: run, toString: run }),
    () => ({ [Symbol.toPrimitive]: run }),
    () => new Date(Number.NaN),
    () => new Map(),
    () => /x/,
    () => new Error('nonsense'),
    () => Promise.resolve(),
    () => new Float64Array(2),
    () => new DataView(new ArrayBuffer(2)),
    () => new Uint8Array(new SharedArrayBuffer(4)),
    () => new ArrayBuffer(2),
    () => foreign('({})'),
    () => foreign('[]'),
    () => foreign('(() => {})'),
    () => foreign('new Uint8Array(new SharedArrayBuffer(4))'),
    () => foreign('new Error("nonsense")'),
    () =>
      new Proxy(
        {},
        {
          get: () => run(),
          has: () => run() > 0,
          ownKeys: () => (run(), ['timeout', 'signal']),
          getOwnPropertyDescriptor: () => ({ value: run(), enumerable: true, configurable: true }),
          getPrototypeOf: () => (run(), null),
        },
      ),
    () => new Proxy(() => {}, { get: () => run(), apply: () => run() }),
    () => random.some(world.bases),
    () => world.event(),
    () => random.some(world.commonTimeouts),
    () => random.some(world.queues),
    () => random.some(world.streams)?.stream,
    () => random.some(world.batches),
    () => random.some(world.listeners),
    () => random.some(world.buffers),
  ]
  return random.pick(kinds)()
}

/** The probability that an argument or an option is replaced. */
const SPITE = 0.05

/** Returns the value, or sometimes nonsense in its place. */
export function orNonsense(world: World, value: unknown): unknown {
  return world.random.chance(SPITE) ? nonsense(world) : value
}

/** A property that only a prototype has, and that the package must not read. */
function trap(world: World, name: string): PropertyDescriptor {
  return {
    configurable: true,
    enumerable: true,
    get: () => {
      world.judge.fault(`the inherited option "${name}" was read`)
      return undefined
    },
  }
}

/** The names of options of all calls. */
const NAMES = [
  'timeout',
  'signal',
  'priority',
  'persist',
  'limit',
  'group',
  'prefix',
  'aToB',
  'bToA',
  'rate',
  'burst',
  'read',
  'write',
  'host',
  'port',
  'path',
  'fd',
  'backlog',
  'lookup',
  'localAddress',
  'localPort',
  'idleTimeout',
  'connectTimeout',
  'transfer',
  'prefixAToB',
  'prefixBToA',
  'batch',
  'paused',
  'onError',
  'onRead',
  'onWrite',
  'onEvent',
  'readLow',
  'readHigh',
  'maxSingleRead',
  'deferCallbacks',
  'minShare',
  'slots',
  'size',
] as const

/**
 * An object with options. Each is sometimes missing or nonsense, a getter that runs hostile code, or reported by a Proxy;
 * further options are sometimes inherited.
 */
export function options(world: World, given: Readonly<Record<string, unknown>>): object {
  const { random } = world
  const values: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(given)) {
    if (random.chance(0.75)) values[name] = orNonsense(world, value)
  }
  return shaped(world, values)
}

/** The same with all properties, for an object that is useless without one of them. */
export function complete(world: World, given: Readonly<Record<string, unknown>>): object {
  const values: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(given)) values[name] = orNonsense(world, value)
  return shaped(world, values)
}

function shaped(world: World, values: Record<string, unknown>): object {
  const { random } = world
  switch (random.below(12)) {
    case 0: {
      const result = {}
      for (const [name, value] of Object.entries(values)) {
        const get = (): unknown => {
          world.misbehave()
          return value
        }
        Object.defineProperty(result, name, { get, enumerable: true, configurable: true })
      }
      return result
    }
    case 1: {
      const parent = {}
      for (const name of NAMES) if (!(name in values)) Object.defineProperty(parent, name, trap(world, name))
      return Object.assign(Object.create(parent) as object, values)
    }
    case 2:
      return new Proxy(values, {
        get: (target, name, receiver): unknown => {
          world.misbehave()
          return Reflect.get(target, name, receiver)
        },
        ownKeys: (target) => {
          world.reenter()
          return Reflect.ownKeys(target)
        },
      })
    case 3:
      return Object.freeze({ __proto__: null, ...values, unknown: nonsense(world) })
    default:
      return values
  }
}

/** The names whose getters {@link polluted} puts on `Object.prototype`. Node reads none of them in the calls within. */
const POLLUTED = NAMES.filter(
  (name) => !['signal', 'timeout', 'fd', 'path', 'host', 'port', 'size'].includes(name),
)

/** Runs a call while `Object.prototype` has getters, named as options, that run hostile code. */
export function polluted<T>(world: World, call: () => T): T {
  if (world.random.chance(0.97)) return call()
  const names = POLLUTED.filter((name) => !(name in Object.prototype))
  for (const name of names) {
    Reflect.defineProperty(Object.prototype, name, {
      configurable: true,
      get: () => {
        world.reenter()
        return undefined
      },
      set(this: object, value: unknown) {
        Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true })
      },
    })
  }
  try {
    return call()
  } finally {
    for (const name of names) Reflect.deleteProperty(Object.prototype, name)
  }
}

/** A reason for an abort. */
export function abortReason(): HostileError {
  return new HostileError('aborted')
}
