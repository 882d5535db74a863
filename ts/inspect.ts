/**
 * What `console.log` and `util.inspect` show of the objects of this package: their state as plain values, which are read
 * without calling user code and without changing anything. It never throws.
 */

import { types } from 'node:util'

import { EV } from './constants.js'
import { EventError } from './errors.js'

/** `inspect.custom` of `node:util`, which Bun and Deno know too. */
const CUSTOM = Symbol.for('nodejs.util.inspect.custom')

/** The properties to show, in their order. Those that are `undefined` are left out. */
export type Shown = Readonly<Record<string, unknown>>

/**
 * Makes `util.inspect` show the objects of a class as a class of this name with these properties.
 *
 * @param type the class
 * @param name its name, which is kept if a bundler renames the class
 * @param read returns the properties of an object. If it throws, only the code of the error is shown
 */
export function showAs<T extends object>(
  type: { readonly prototype: T },
  name: string,
  read: (self: T) => Shown,
): void {
  // util.inspect formats the object that the method returns, and takes the name of its class.
  const shape = shapeOf(name)
  const value = function (this: T): object {
    const shown: object = { __proto__: shape, ...readSafely(read, this) }
    return shown
  }
  Object.defineProperty(type.prototype, CUSTOM, { value, writable: true, configurable: true })
}

/** The prototype of a constructor of this name, which has no members. */
function shapeOf(name: string): object {
  const { [name]: constructor } = { [name]: function () {} }
  return constructor?.prototype as object
}

function readSafely<T>(read: (self: T) => Shown, self: T): Shown {
  try {
    return Object.fromEntries(Object.entries(read(self)).filter(([, value]) => value !== undefined))
  } catch (error) {
    // A base in a forked child refuses every call, and an object that inherits from one of ours has no private members.
    return error instanceof EventError ? { error: error.code } : {}
  }
}

/** The names of bits of `EV`: `'READ | PERSIST'`; `undefined` if there are none. */
export function namesOfBits(bits: number): string | undefined {
  const names = Object.entries(EV).filter(([, bit]) => (bits & bit) !== 0)
  return names.length === 0 ? undefined : names.map(([name]) => name).join(' | ')
}

/** The value of an own property, unless it is an accessor. */
function ownValue(object: object, key: string): unknown {
  return types.isProxy(object) ? undefined : Object.getOwnPropertyDescriptor(object, key)?.value
}

/** The name of a function; `undefined` if it has none. */
export function nameOfFunction(value: object | undefined): string | undefined {
  const name = value === undefined ? undefined : ownValue(value, 'name')
  return typeof name === 'string' && name !== '' ? name : undefined
}

/** The code or the message of an error, which may be any value that user code has thrown. */
export function textOfError(error: unknown): string | undefined {
  if (error === undefined) return undefined
  if (!types.isNativeError(error)) return typeof error
  const [code, message] = [ownValue(error, 'code'), ownValue(error, 'message')]
  return [code, message].find((text) => typeof text === 'string') as string | undefined
}
