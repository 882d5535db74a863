/** Readiness as promises and as an asynchronous iterable. */

import { type AbortSource, onAbort, throwIfAborted } from './abort.js'
import { EV } from './constants.js'
import type { Core } from './core.js'
import { Event, type EventParts } from './event.js'
import { settled, waits } from './unsettled.js'

/** Waits until a descriptor is ready once. */
export function waitOnce(
  core: Core,
  parts: Omit<EventParts, 'core' | 'callback'>,
  timeout: number | undefined,
  signal: AbortSource | undefined,
): Promise<number> {
  return new Promise((resolve, reject) => {
    core.check()
    throwIfAborted(signal)
    const settle = (): void => {
      settled(core)
      core.waiting.delete(onClose)
      stopListening()
    }
    const onClose = (reason: Error): void => {
      settle()
      reject(reason)
    }
    const callback = (_fd: number, what: number): void => {
      settle()
      resolve(what)
    }
    const event = new Event({ core, callback, ...parts })
    const stopListening = onAbort(signal, (reason) => {
      event.close()
      onClose(reason)
    })
    try {
      event.add(timeout)
    } catch (error) {
      stopListening()
      throw error
    }
    waits(core)
    core.waiting.add(onClose)
  })
}

/**
 * The readiness of a descriptor as an iterable.
 *
 * A level-triggered descriptor is watched only while an item is awaited: a descriptor that stays ready yields one item
 * per call of `next`. An edge-triggered descriptor is watched all the time; edges between two calls are merged into one
 * item.
 */
export class Watch implements AsyncIterableIterator<number, undefined> {
  readonly #core: Core
  readonly #event: Event
  readonly #isEdge: boolean
  readonly #stopListening: () => void
  /** The calls of `next` whose promises are not settled. */
  readonly #calls: PromiseWithReject[] = []
  readonly #onClose = (reason: Error): void => this.#fail(reason)
  #seen = 0
  #failure: { reason: unknown } | undefined
  #done = false

  constructor(core: Core, parts: Omit<EventParts, 'core' | 'callback'>, signal: AbortSource | undefined) {
    core.check()
    throwIfAborted(signal)
    this.#core = core
    this.#isEdge = (parts.what & EV.ET) !== 0
    const what = this.#isEdge ? parts.what | EV.PERSIST : parts.what & ~EV.PERSIST
    const callback = (_fd: number, result: number): void => this.#onReady(result)
    this.#event = new Event({ core, callback, ...parts, what })
    this.#stopListening = onAbort(signal, this.#onClose)
    try {
      if (this.#isEdge) this.#event.add()
    } catch (error) {
      this.#stopListening()
      throw error
    }
    core.waiting.add(this.#onClose)
  }

  next(): Promise<IteratorResult<number, undefined>> {
    if (this.#failure !== undefined) {
      const { reason } = this.#failure
      this.#failure = undefined
      return Promise.reject(reason as Error)
    }
    if (this.#done) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve, reject) => {
      this.#calls.push({ resolve, reject })
      waits(this.#core)
      if (!this.#isEdge) this.#add()
      else if (this.#seen !== 0) this.#answer()
    })
  }

  return(): Promise<IteratorResult<number, undefined>> {
    this.#end()
    for (const call of this.#takeCalls()) call.resolve({ done: true, value: undefined })
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #onReady(result: number): void {
    this.#seen |= result
    if (this.#calls.length > 0) this.#answer()
    if (!this.#isEdge && this.#calls.length > 0) this.#add()
  }

  /** Watches the descriptor until it is ready. A failure rejects the pending calls of `next`. */
  #add(): void {
    try {
      this.#event.add()
    } catch (error) {
      this.#fail(error)
    }
  }

  #answer(): void {
    const value = this.#seen
    this.#seen = 0
    settled(this.#core)
    this.#calls.shift()?.resolve({ done: false, value })
  }

  #fail(reason: unknown): void {
    if (this.#done) return
    this.#end()
    const calls = this.#takeCalls()
    if (calls.length === 0) this.#failure = { reason }
    for (const { reject } of calls) reject(reason as Error)
  }

  #takeCalls(): PromiseWithReject[] {
    const calls = this.#calls.splice(0)
    for (const _ of calls) settled(this.#core)
    return calls
  }

  #end(): void {
    this.#done = true
    this.#core.waiting.delete(this.#onClose)
    this.#stopListening()
    this.#event.close()
  }
}

interface PromiseWithReject {
  resolve: (result: IteratorResult<number, undefined>) => void
  reject: (reason: Error) => void
}
