/** Looking up names. */

import { lookup as lookupInNode } from 'node:dns'
import { constants } from 'node:os'

import { type AbortSource, onAbort } from '../abort.js'
import type { Core } from '../core.js'
import { systemError } from '../errors.js'
import type { Event } from '../event.js'
import type { NativeAddress } from '../native.js'
import { outOfRange, wrongType } from '../validate.js'
import { familyOf, withAddress } from './address.js'

/** An address that was found. */
export interface FoundAddress {
  /** A numeric IPv4 or IPv6 address. */
  address: string
  /** 4 or 6. It may be missing, and is ignored. */
  family?: number | undefined
}

/** The result of a look-up: one address, or several in order of preference. */
export type LookupAnswer = string | FoundAddress | readonly (string | FoundAddress)[]

/**
 * Looks up a name. The result is passed to the callback, as by `lookup` of `node:dns`, or returned as a promise, as by
 * `lookup` of `node:dns/promises`. If there are several results, the first is used.
 */
export type LookupFunction = (
  hostname: string,
  options: { all: true },
  callback: (error: Error | null, found: LookupAnswer, family?: number) => void,
) => unknown

/** The error of a connect that has timed out. */
export function timedOut(target: NativeAddress): Error {
  return withAddress(systemError(-constants.errno.ETIMEDOUT, 'connect'), target)
}

/**
 * The error that Node's own look-up has for a name without an address. `reason` is the message of the resolver, if it
 * is known.
 */
export function notFound(host: string, reason?: string): Error {
  const properties = { errno: -3008, code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname: host }
  const text = `getaddrinfo ENOTFOUND ${host}`
  return Object.assign(new Error(reason === undefined ? text : `${text}: ${reason}`), properties)
}

function addressesOf(host: string, answer: LookupAnswer): string[] {
  const name = 'the answer of options.lookup'
  const all: readonly unknown[] = Array.isArray(answer) ? answer : [answer]
  const found = all.map((entry) => {
    const address: unknown =
      typeof entry === 'object' && entry !== null ? (entry as Partial<FoundAddress>).address : entry
    if (typeof address !== 'string') throw wrongType(name, 'one or more addresses', entry)
    if (familyOf(address) === 0) throw outOfRange(name, 'numeric addresses', address)
    return address
  })
  if (found.length === 0) throw notFound(host)
  return [...new Set(found)]
}

function isPromise(value: unknown): value is PromiseLike<LookupAnswer> {
  return typeof value === 'object' && value !== null && 'then' in value
}

/**
 * Looks up the addresses of a name, without repetitions. A look-up cannot be cancelled: its result is ignored if the
 * timeout has expired, the abort signal was aborted or the base was closed.
 */
export function resolve(
  core: Core,
  target: NativeAddress,
  options: { lookup: LookupFunction | undefined; timeout: number; signal: AbortSource | undefined },
): Promise<string[]> {
  const { lookup = lookupInNode as LookupFunction, timeout, signal } = options
  const host = target.hostOrPath
  return new Promise((resolved, reject) => {
    const stopListening = onAbort(signal, fail)
    let timer: Event | undefined

    function leave(): void {
      timer?.close()
      stopListening()
      core.waiting.delete(fail)
    }
    function fail(reason: unknown): void {
      leave()
      reject(reason as Error)
    }
    function succeed(answer: LookupAnswer): void {
      leave()
      try {
        resolved(addressesOf(host, answer))
      } catch (error) {
        reject(error as Error)
      }
    }

    try {
      core.check()
      core.waiting.add(fail)
      if (timeout >= 0) timer = core.owner.newTimer(() => fail(timedOut(target))).add(timeout)
      const answer = lookup(host, { all: true }, (error, found) => (error ? fail(error) : succeed(found)))
      if (isPromise(answer)) answer.then(succeed, fail)
    } catch (error) {
      fail(error)
    }
  })
}
