/**
 * Connecting to whichever of several addresses answers first: RFC 8305, "Happy Eyeballs Version 2".
 *
 * The addresses take turns by family, beginning with the resolver's favourite. One attempt is begun after the
 * other, each a while after the last, or at once when one has failed. The first that succeeds wins, and all
 * others are given up.
 */

import { isIP } from 'node:net'

import { type AbortSource, onAbort } from '../abort.js'
import type { Event } from '../event.js'
import type { SystemError } from '../errors.js'
import { native, NO_TIMEOUT } from '../native.js'
import { at, withAddress, type Place } from './address.js'
import type { Local } from './local.js'
import { timedOut } from './lookup.js'
import type { Completion, Sources } from './sources.js'

/** Addresses in the order to try them: by family in turn, each family in its own order. */
export function interleave(addresses: readonly string[]): string[] {
  const favourite = isIP(addresses[0] ?? '')
  const first = addresses.filter((address) => isIP(address) === favourite)
  const second = addresses.filter((address) => isIP(address) !== favourite)
  const order: string[] = []
  for (let index = 0; index < Math.max(first.length, second.length); index++) {
    order.push(...first.slice(index, index + 1), ...second.slice(index, index + 1))
  }
  return order
}

/** The failure of every attempt: as Node's own, with the code of the first. */
function allFailed({ place, port }: Place, errors: readonly unknown[]): Error {
  const codes = errors.map((error) => {
    const { code = 'unknown', address = '' } = error as Partial<SystemError> & { address?: string }
    return `${code} ${address}`
  })
  const [first] = errors as Partial<SystemError>[]
  const error = new AggregateError(errors, `connect to ${place} failed at each address: ${codes.join(', ')}`)
  const { code, errno, syscall } = first ?? {}
  return Object.assign(error, { code, errno, syscall, address: place, port })
}

/** How a race is run. */
export interface RaceOptions {
  /** Milliseconds between the beginnings of two attempts. */
  attemptDelay: number
  /** Milliseconds until all is given up, or negative. */
  timeout: number
  signal: AbortSource | undefined
  local: Local | undefined
}

class Race {
  readonly #sources: Sources
  readonly #target: Place
  readonly #places: readonly Place[]
  readonly #options: RaceOptions
  readonly #won: (fd: number) => void
  readonly #lost: (reason: Error) => void
  readonly #stopListening: () => void
  readonly #deadline: Event | undefined
  readonly #delay: Event
  /** The attempts on their way, by their keys: which address each is for. */
  readonly #open: Map<number, number> = new Map()
  /** Of each address that failed, why. */
  readonly #errors: unknown[] = []
  #next = 0

  constructor(
    sources: Sources,
    target: Place,
    places: readonly Place[],
    options: RaceOptions,
    won: (fd: number) => void,
    lost: (reason: Error) => void,
  ) {
    const { owner } = sources.core
    const { signal, timeout } = options
    this.#sources = sources
    this.#target = target
    this.#places = places
    this.#options = options
    this.#won = won
    this.#lost = lost
    this.#stopListening = onAbort(signal, (reason) => this.#lose(reason))
    this.#delay = owner.newTimer(() => this.#begin())
    if (timeout >= 0) {
      this.#deadline = owner.newTimer(() => this.#lose(timedOut(target))).add(timeout)
    }
    this.#begin()
  }

  /** Begins the next attempt that can be begun. */
  #begin(): void {
    const { core } = this.#sources
    while (this.#next < this.#places.length) {
      const index = this.#next
      const place = this.#places[index] as Place
      this.#next += 1
      let key: number
      try {
        key = at(place, () =>
          native.netConnect(core.handle, place.place, place.port, NO_TIMEOUT, this.#options.local),
        )
      } catch (error) {
        this.#errors[index] = error
        continue
      }
      this.#open.set(key, index)
      this.#sources.add(key, {
        tell: (completion) => this.#told(key, index, completion),
        baseClosed: (reason) => this.#lose(reason),
      })
      if (this.#next < this.#places.length) this.#delay.add(this.#options.attemptDelay)
      else this.#delay.del()
      return
    }
    if (this.#open.size === 0) this.#lose(allFailed(this.#target, this.#errors))
  }

  #told(key: number, index: number, completion: Completion): void {
    if (completion.kind !== 'connected') return
    this.#open.delete(key)
    this.#sources.remove(key)
    if (completion.error === undefined) {
      this.#end()
      this.#won(completion.fd)
      return
    }
    this.#errors[index] = withAddress(completion.error, this.#places[index] as Place)
    this.#begin()
  }

  #lose(reason: Error): void {
    this.#end()
    this.#lost(reason)
  }

  /** Gives up whatever is on its way. */
  #end(): void {
    const { core } = this.#sources
    this.#stopListening()
    this.#delay.close()
    this.#deadline?.close()
    for (const key of this.#open.keys()) {
      this.#sources.remove(key)
      if (!core.closed) native.netClose(core.handle, key)
    }
    this.#open.clear()
  }
}

/**
 * Connects to one of several addresses.
 *
 * @param sources of an open base
 * @param target the name they were found for
 * @param places where to connect, in the order to try it; at least two
 * @param options how
 * @returns the connection's descriptor
 */
export function race(
  sources: Sources,
  target: Place,
  places: readonly Place[],
  options: RaceOptions,
): Promise<number> {
  return new Promise((won, lost) => new Race(sources, target, places, options, won, lost))
}
