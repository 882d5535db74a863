// What is known about an event, from the calls that were made.
import { EV, type Event, type EventBase } from '../../index.js'
import type { World } from './world.js'

/** An event, and whether its callback may be called. */
export class EventModel {
  readonly base: EventBase
  readonly name: string
  /** Set after the constructor of the event, which the callback of this object is passed to. */
  event!: Event
  /** Whether the event may be pending or active: an event that is not must not be called. */
  #mayFire = false
  #isFinalizing = false
  #isFinalized = false
  readonly #world: World

  constructor(world: World, base: EventBase, name: string) {
    this.#world = world
    this.base = base
    this.name = name
  }

  /** The callback of the event. */
  readonly callback: (fd: number, what: number, event: Event) => void = (fd, what, event) => {
    const world = this.#world
    const { judge } = world
    world.note(`> ${this.name}(${fd}, ${what})`)
    if (this.base.closed) judge.fault(`${this.name}: called although its base is closed`)
    if (this.#isFinalizing) judge.fault(`${this.name}: called after finalize()`)
    // A remote call may have started the event, or one with the same id of another base.
    if (!this.#mayFire && !world.remoteIds.has(event.id))
      judge.fault(`${this.name}: called although it is not pending`)
    if (event !== this.event) judge.fault(`${this.name}: called with another event`)
    if ((this.event.what & (EV.PERSIST | EV.SIGNAL)) === 0) this.#mayFire = false
    if (world.over) {
      // Nothing keeps a blocking loop busy at the end.
      if (!event.closed) event.close()
      return
    }
    world.misbehave()
  }

  /** The event was added or activated. */
  started(): void {
    if (!this.#isFinalizing) this.#mayFire = true
  }

  /** The event was deleted or closed. */
  stopped(): void {
    this.#mayFire = false
  }

  /** The finalizer of the event. */
  readonly finalizer: () => void = () => {
    const { judge } = this.#world
    this.#world.note(`> finalizer of ${this.name}`)
    if (this.base.closed) judge.fault(`${this.name}: finalized although its base is closed`)
    if (this.#isFinalized) judge.fault(`${this.name}: finalized twice`)
    this.#isFinalized = true
    this.#world.misbehave()
  }

  finalizing(): void {
    this.#isFinalizing = true
  }
}
