/** Connecting to an address or a name. */

import { type AbortSource, checkAbortSignal, onAbort, throwIfAborted } from '../abort.js'
import type { SystemError } from '../errors.js'
import type { EventBase } from '../event-base.js'
import { native, NO_TIMEOUT, type NativeAddress } from '../native.js'
import { settled, waits } from '../unsettled.js'
import { checkCallback, checkOptions, checkTimeout, outOfRange } from '../validate.js'
import { at, checkTarget, familyOf, isNumeric, withAddress, type Target } from './address.js'
import type { Connected } from './completion.js'
import { checkLocal, type Local, type LocalOptions } from './local.js'
import { resolve, timedOut, type LookupFunction } from './lookup.js'
import { Sources } from './sources.js'

/** Options of {@link connect}. */
export interface ConnectOptions extends LocalOptions {
  /**
   * Milliseconds until the connect fails with `ETIMEDOUT`, including the look-up. Default: the limit of the system,
   * which is minutes.
   */
  timeout?: number | undefined
  /** An abort signal that cancels the connect. */
  signal?: AbortSignal | undefined
  /**
   * The time from the start of one attempt to the start of the next, in milliseconds, for a name with several
   * addresses. The earlier attempt continues. Default 250, which RFC 8305 recommends; at least 10, which is the minimum
   * of RFC 8305. It advises against values below 100 and above 2000.
   */
  attemptDelay?: number | undefined
  /** Looks up the addresses of a name. Default: `lookup` of `node:dns`. */
  lookup?: LookupFunction | undefined
}

/** The delay that RFC 8305 recommends, in milliseconds. */
const ATTEMPT_DELAY = 250
/** The minimum of RFC 8305. */
const LEAST_DELAY = 10

/** The error of a connect whose attempts all failed: like Node's own, it has the code of the first attempt. */
function allFailed({ hostOrPath, port }: NativeAddress, errors: readonly Error[]): Error {
  const codes = errors.map((error) => {
    const { code = 'unknown', address = '' } = error as Partial<SystemError>
    return `${code} ${address}`
  })
  const [first] = errors as Partial<SystemError>[]
  const error = new AggregateError(
    errors,
    `connect to ${hostOrPath} failed at each address: ${codes.join(', ')}`,
  )
  const { code, errno, syscall } = first ?? {}
  return Object.assign(error, { code, errno, syscall, address: hostOrPath, port })
}

/** The error of a failed connect to `target`, for which `addresses` were found. */
function failureOf(
  target: NativeAddress,
  addresses: readonly NativeAddress[],
  failure: Connected['failure'],
): Error {
  const { error, attempts } = failure ?? { error: timedOut(target), attempts: [] }
  const [only] = addresses
  if (only !== undefined && addresses.length === 1) return withAddress(error, only)
  // The timeout has expired before every attempt failed.
  if (attempts.length < addresses.length && (error as SystemError).code === 'ETIMEDOUT') {
    return timedOut(target)
  }
  const ordered = attempts.toSorted((one, other) => one.address - other.address)
  return allFailed(
    target,
    ordered.map((attempt) => withAddress(attempt.error, addresses[attempt.address] ?? target)),
  )
}

interface Attempts {
  /** Milliseconds. */
  attemptDelay: number
  /** Milliseconds; negative if there is no timeout. */
  timeout: number
  signal: AbortSource | undefined
  local: Local | undefined
}

/** Connects to one of the addresses that were found for `target`. */
function connectTo(
  sources: Sources,
  target: NativeAddress,
  addresses: readonly NativeAddress[],
  { attemptDelay, timeout, signal, local }: Attempts,
): Promise<number> {
  return new Promise((resolved, reject) => {
    const { core } = sources
    core.check()
    throwIfAborted(signal)
    const settle = (): void => {
      settled(core)
      sources.remove(key)
      stopListening()
    }
    const stopListening = onAbort(signal, (reason) => {
      settle()
      if (!core.closed) native.netClose(core.handle, key)
      reject(reason)
    })
    let key: number
    try {
      key = at(addresses[0] ?? target, () =>
        native.netConnect(core.handle, [...addresses], attemptDelay, timeout, local),
      )
    } catch (error) {
      stopListening()
      throw error
    }
    waits(core)
    sources.add(key, {
      complete(completion) {
        if (completion.kind !== 'connected') return
        settle()
        if (completion.fd >= 0) resolved(completion.fd)
        else reject(failureOf(target, addresses, completion.failure))
      },
      baseClosed(reason) {
        settle()
        reject(reason)
      },
    })
  })
}

/**
 * Returns the addresses of the same family as the local address, or all addresses if there are none of that family.
 */
function reachable(addresses: string[], local: Local | undefined): string[] {
  const family = familyOf(local?.localAddress ?? '')
  const found = addresses.filter((address) => familyOf(address) === family)
  return found.length === 0 ? addresses : found
}

/**
 * Connects in the base's loop. The promise settles while `run()` runs the base: call `run()` before the `await`. If a
 * blocking `loop()` runs the base, the promise settles, as every promise does, after the loop has returned. The look-up of
 * a name needs Node's own loop.
 *
 * Without a loop the promise never settles, not even with `timeout`. A process that ends while it waits for such a promise
 * emits an `EventBaseWarning`; Node's exit code is 13 after a top-level `await`.
 *
 * The addresses of a name are tried as RFC 8305 ("Happy Eyeballs Version 2") describes. The families of the addresses
 * alternate, starting with the family of the resolver's first address. Each attempt starts `attemptDelay` milliseconds
 * after the previous one, or immediately when an attempt fails. The first attempt that succeeds is used, and the others
 * are cancelled. So an address, or a whole family, that never responds delays the connection by a quarter of a second.
 *
 * ```ts
 * import { EventBase } from 'event-base'
 * import { connect, listen, socket } from 'event-base/net'
 *
 * const base = new EventBase()
 * const listener = listen(base, { host: '127.0.0.1', port: 0 }, (fd) => socket.close(fd))
 * void base.run()
 * // No socket listens at the first address.
 * const lookup = async () => ['::1', '127.0.0.1']
 * const fd = await connect(base, { host: 'example.test', port: listener.address.port }, { lookup, timeout: 5000 })
 * console.log(socket.peer(fd))
 * socket.close(fd)
 * listener.close()
 * ```
 *
 * @param base the base whose loop waits
 * @param target a host, numeric or a name, and a port, or a unix socket's path
 * @param options timeout, abort signal, look-up and local address
 * @returns the connection's descriptor, which the caller owns
 * @throws {EventError} as a rejection: `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, and `ERR_EVENT_CLOSED`, also when
 *   the base is closed during the connect. An abort rejects the promise with the reason of the abort signal
 * @throws {SystemError} as a rejection, with `syscall` `'connect'`, `address` and `port`: `ECONNREFUSED`,
 *   `ETIMEDOUT`, `ENOENT`, `EHOSTUNREACH`, ...; with `syscall` `'bind'` for a local address: `EADDRNOTAVAIL`,
 *   `EADDRINUSE`, `EAFNOSUPPORT`; or the error of the look-up, from Node's resolver `ENOTFOUND`
 * @throws {AggregateError} as a rejection, when the connect to each of several addresses failed, as with Node's
 *   `net.connect`: `errors` are the system errors, one for each address, in the order of the attempts; `code`, `errno`
 *   and `syscall` are those of the first error, and `address` is the name. When the timeout expires, the error is a
 *   plain `ETIMEDOUT` instead
 */
export async function connect(base: EventBase, target: Target, options?: ConnectOptions): Promise<number> {
  const sources = Sources.of(base)
  const address = checkTarget('target', target)
  const how = checkOptions(options)
  const { timeout, signal, lookup, attemptDelay = ATTEMPT_DELAY } = how
  if (timeout !== undefined) checkTimeout('options.timeout', timeout)
  if (checkTimeout('options.attemptDelay', attemptDelay) < LEAST_DELAY) {
    throw outOfRange('options.attemptDelay', `>= ${LEAST_DELAY}`, attemptDelay)
  }
  if (lookup !== undefined) checkCallback('options.lookup', lookup)
  const local = checkLocal('options', how)
  throwIfAborted(checkAbortSignal('options.signal', signal))
  if (isNumeric(address)) {
    return await connectTo(sources, address, [address], {
      attemptDelay,
      timeout: timeout ?? NO_TIMEOUT,
      signal,
      local,
    })
  }

  const { core } = sources
  const now = (): number => native.baseMonotonic(core.handle)
  const deadline = timeout === undefined ? Infinity : now() + timeout
  const left = (): number => (timeout === undefined ? NO_TIMEOUT : Math.max(deadline - now(), 0))
  const found = await resolve(core, address, { lookup, timeout: left(), signal })
  core.check()
  throwIfAborted(signal)
  const addresses = reachable(found, local).map((hostOrPath) => ({ hostOrPath, port: address.port }))
  return await connectTo(sources, address, addresses, { attemptDelay, timeout: left(), signal, local })
}
