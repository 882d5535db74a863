/** Keeps the loop of a base from being empty while Duplex streams on it are open. */

import type { Event } from '../../event.js'
import type { EventBase } from '../../event-base.js'

/** The period of the timer in milliseconds, a day. Its callback does nothing. */
const DAY = 86_400_000

/**
 * A stream whose reader has paused has no pending event. If the loop has no other events, it ends, and the stream is
 * not read when its reader resumes. So one timer for all streams of a base is pending while any of them is open.
 */
export class Presence {
  static readonly #all: WeakMap<EventBase, Presence> = new WeakMap()
  readonly #base: EventBase
  readonly #holders: Set<object> = new Set()
  #timer: Event | undefined

  private constructor(base: EventBase) {
    this.#base = base
  }

  /** The presence of a base. */
  static of(base: EventBase): Presence {
    let presence = Presence.#all.get(base)
    if (presence === undefined) {
      presence = new Presence(base)
      Presence.#all.set(base, presence)
    }
    return presence
  }

  hold(holder: object): void {
    this.#holders.add(holder)
    this.#timer ??= this.#base.newTimer(() => {}, { persist: true }).add(DAY)
  }

  release(holder: object): void {
    if (!this.#holders.delete(holder) || this.#holders.size > 0) return
    this.#timer?.close()
    this.#timer = undefined
  }
}
