/** Connecting. */

import { lookup } from 'node:dns/promises'
import { addAbortListener } from 'node:events'
import { constants } from 'node:os'

import type { EventBase } from '../event-base.js'
import { systemError } from '../errors.js'
import { native, NO_TIMEOUT } from '../native.js'
import { checkOptions, checkSignal, checkTimeout } from '../validate.js'
import { at, checkTarget, isNumeric, withAddress, type Place, type Target } from './address.js'
import { Sources } from './sources.js'

/** How to connect. */
export interface ConnectOptions {
  /** Milliseconds until it fails with `ETIMEDOUT`, look-up included. Default: as long as the system tries. */
  timeout?: number | undefined
  /** Gives it up. */
  signal?: AbortSignal | undefined
}

function timedOut(): Error {
  const text = 'ETIMEDOUT: Connection timed out, connect'
  return systemError('ETIMEDOUT', text, -constants.errno.ETIMEDOUT, 'connect', -1)
}

/** The addresses of a host's name, in the order to try them. A look-up cannot be stopped, only left alone. */
async function resolve({ place, port }: Place, timeout: number, signal?: AbortSignal): Promise<Place[]> {
  const looking = lookup(place, { all: true })
  // Whoever stops waiting for it no longer cares how it ends.
  looking.catch(() => {})
  const found = await new Promise<Awaited<typeof looking>>((settle, reject) => {
    looking.then(settle, reject)
    const timer = timeout < 0 ? undefined : setTimeout(() => reject(timedOut()), timeout)
    const listening = signal && addAbortListener(signal, () => reject(signal.reason as Error))
    looking
      .finally(() => {
        clearTimeout(timer)
        listening?.[Symbol.dispose]()
      })
      .catch(() => {})
  })
  return found.map(({ address }) => ({ place: address, port }))
}

/** One attempt at one address. */
function attempt(sources: Sources, place: Place, timeout: number, signal?: AbortSignal): Promise<number> {
  return new Promise((resolved, reject) => {
    const { core } = sources
    core.check()
    signal?.throwIfAborted()
    const key = at(place, () => native.netConnect(core.handle, place.place, place.port, timeout))
    let listening: Disposable | undefined
    const settle = (): void => {
      sources.remove(key)
      listening?.[Symbol.dispose]()
    }
    sources.add(key, {
      tell(completion) {
        if (completion.kind !== 'connected') return
        settle()
        if (completion.error === undefined) resolved(completion.fd)
        else reject(withAddress(completion.error, place) as Error)
      },
      baseClosed(reason) {
        settle()
        reject(reason)
      },
    })
    if (signal === undefined) return
    listening = addAbortListener(signal, () => {
      settle()
      if (!core.closed) native.netClose(core.handle, key)
      reject(signal.reason as Error)
    })
  })
}

/**
 * Connects in the base's loop. Settles while the base is run; under the blocking `loop()` only after that
 * returned, as every promise, and with a host's name not before the look-up ended, which needs Node's own loop.
 *
 * A name with several addresses is tried at each in turn; the last failure is the one thrown.
 *
 * @param base whose loop waits
 * @param target a host, numeric or a name, and a port, or a unix socket's path
 * @param options `timeout` in milliseconds; `signal` to give it up
 * @returns the connection's descriptor, which is the caller's
 * @throws {EventError} as a rejection: `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, and `ERR_EVENT_CLOSED`, also
 *   when the base is closed meanwhile; the signal's reason when it is aborted
 * @throws {SystemError} as a rejection, with `syscall` `'connect'`, `address` and `port`: `ECONNREFUSED`,
 *   `ETIMEDOUT`, `ENOENT`, `EHOSTUNREACH`, ...; or Node's own of a failed look-up, `ENOTFOUND`
 */
export async function connect(base: EventBase, target: Target, options?: ConnectOptions): Promise<number> {
  const sources = Sources.of(base)
  const place = checkTarget('target', target)
  const { timeout, signal } = checkOptions(options) ?? {}
  if (timeout !== undefined) checkTimeout('options.timeout', timeout)
  checkSignal(signal)?.throwIfAborted()
  if (isNumeric(place)) return await attempt(sources, place, timeout ?? NO_TIMEOUT, signal)

  const deadline = timeout === undefined ? Infinity : performance.now() + timeout
  const left = (): number => (timeout === undefined ? NO_TIMEOUT : Math.max(deadline - performance.now(), 0))
  let failure: unknown
  for (const found of await resolve(place, left(), signal)) {
    if (failure !== undefined && left() === 0) break
    try {
      return await attempt(sources, found, left(), signal)
    } catch (error) {
      if (signal?.aborted === true || sources.core.closed) throw error
      failure = error
    }
  }
  throw failure
}
