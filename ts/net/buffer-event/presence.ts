/** What keeps the loop of a base from being empty while streams of Node's are open. */

import type { Event } from '../../event.js'
import type { EventBase } from '../../event-base.js'

/** Milliseconds, a day: the timer does nothing, and is there. */
const DAY = 86_400_000

/**
 * A stream whose reader rests has no event pending, and a loop without events ends, so that the stream would be stuck
 * when its reader goes on. One timer for all streams of a base is pending as long as one of them is open.
 */
export class Presence {
  static readonly #all: WeakMap<EventBase, Presence> = new WeakMap()
  readonly #base: EventBase
  readonly #holders: Set<object> = new Set()
  #timer: Event | undefined

  private constructor(base: EventBase) {
    this.#base = base
  }

  /** That of a base. */
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
