/**
 * Checks of arguments, one function for each kind. Each function returns a valid value and throws a coded error for any
 * other.
 */

import { types } from 'node:util'

import { EventError } from './errors.js'

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'function') return `function ${nameOf(() => value.name)}`
  if (typeof value === 'object') return `an instance of ${nameOf(() => value.constructor?.name) || 'Object'}`
  return `type ${typeof value} (${shorten(String(value), 40)})`
}

/** A name that user code may have replaced by anything, or by a getter that throws. */
function nameOf(read: () => unknown): string {
  try {
    const name = read()
    return typeof name === 'string' ? name : ''
  } catch {
    return ''
  }
}

function shorten(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}...` : text
}

/** The error for a value of the wrong type. */
export function wrongType(name: string, expected: string, value: unknown): EventError {
  const text = `The "${name}" argument must be ${expected}. Received ${describe(value)}`
  return new EventError('ERR_INVALID_ARG_TYPE', text)
}

/** The error for a number outside its range, or for a value that is not one of those allowed. */
export function outOfRange(name: string, range: string, value: unknown): EventError {
  const isObject = typeof value === 'object' || typeof value === 'function'
  const received = isObject ? describe(value) : shorten(String(value), 128)
  const text = `The value of "${name}" is out of range. It must be ${range}. Received ${received}`
  return new EventError('ERR_OUT_OF_RANGE', text)
}

/** Checks a whole number from `least` to `most`. */
export function checkInteger(name: string, value: number, least: number, most: number): number {
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value)
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value)
  if (value < least || value > most) throw outOfRange(name, integersFrom(least, most), value)
  return value
}

function integersFrom(least: number, most: number): string {
  return least === most ? String(least) : `>= ${least} && <= ${most}`
}

/** Checks a priority of a base that has `count` priorities. */
export function checkPriority(name: string, value: number, count: number): number {
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value)
  if (Number.isInteger(value) && value >= 0 && value < count) return value
  const has = count === 1 ? '1 priority' : `${count} priorities`
  throw outOfRange(name, `${integersFrom(0, count - 1)}: the base has ${has}, see setPriorities()`, value)
}

/** Checks bits, which must all be in `known`. */
export function checkBits(name: string, value: number, known: number): number {
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value)
  if (!Number.isInteger(value) || value < 0 || value > 0xff_ffff) {
    throw outOfRange(name, 'a set of flags', value)
  }
  if ((value & ~known) !== 0) {
    throw new EventError('ERR_EVENT_BAD_FLAGS', `"${name}" has unknown flags: 0x${value.toString(16)}`)
  }
  return value
}

/** The longest timeout: 2^53 microseconds, which are 285 years. */
const LONGEST = Number.MAX_SAFE_INTEGER / 1000

/** Checks a time in milliseconds; fractions count, to the microsecond. */
export function checkTimeout(name: string, value: number): number {
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value)
  if (!(value >= 0 && value <= LONGEST)) throw outOfRange(name, `>= 0 && <= ${LONGEST}`, value)
  return value
}

/** Checks a function. */
export function checkCallback<T>(name: string, value: T): T {
  if (typeof value !== 'function') throw wrongType(name, 'of type function', value)
  return value
}

/** Checks the number of a file descriptor. The kernel checks whether it is open. */
export function checkFd(name: string, value: number): number {
  return checkInteger(name, value, 0, 0x7fff_ffff)
}

/**
 * Checks an object. Returns a copy of its own properties, each of which is read once: a getter or a prototype cannot
 * change them later.
 */
export function checkObject<T extends object>(name: string, value: T): T {
  if (typeof value !== 'object' || value === null) throw wrongType(name, 'of type object', value)
  return ownProperties(value)
}

/** A copy of an object that inherits nothing. */
export function ownProperties<T extends object>(value: T): T {
  return { __proto__: null, ...value }
}

/** The options if there are none: an object that inherits nothing. */
const NO_OPTIONS: object = Object.freeze({ __proto__: null })

/**
 * Checks an object with options; `undefined` means that there are none. Returns a copy, as {@link checkObject} does.
 */
export function checkOptions<T extends object>(value: T | undefined, name = 'options'): T {
  return value === undefined ? (NO_OPTIONS as T) : checkObject(name, value)
}

/** Checks a typed array of bytes, of any realm, whose memory no other thread can change. */
export function checkBytes(name: string, value: Uint8Array): Uint8Array<ArrayBuffer> {
  if (!types.isUint8Array(value)) throw wrongType(name, 'an instance of Buffer or Uint8Array', value)
  const memory = value.buffer
  if (!(memory instanceof ArrayBuffer) && types.isSharedArrayBuffer(memory)) {
    throw wrongType(name, 'not shared with other threads', memory)
  }
  return value as Uint8Array<ArrayBuffer>
}

/** Checks a boolean; `undefined` means `false`. */
export function checkBoolean(name: string, value: boolean | undefined): boolean {
  if (value === undefined) return false
  if (typeof value !== 'boolean') throw wrongType(name, 'of type boolean', value)
  return value
}
