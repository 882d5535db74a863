/** The listeners, connects and relays of a base. */

import { EventBase } from '../event-base.js'
import { callAll } from '../call-all.js'
import type { Core } from '../core.js'
import { StepCode } from '../native.js'
import { wrongType } from '../validate.js'
import { nextCompletion, type Completion } from './completion.js'

export type { Completion }

/** The JavaScript part of a listener, a connect or a relay. */
export interface Source {
  /** Called with each completion of the native source. */
  complete(completion: Completion): void
  /** Called when the base was closed, which has closed the native source. */
  baseClosed(reason: Error): void
}

/**
 * The sources of one base, by key.
 *
 * The native layer queues completions and returns one step code for each. So their callbacks run one at a time, as the
 * callbacks of events do: an exception of one callback, or a request such as a break, takes effect before the next
 * callback runs.
 */
export class Sources {
  static readonly #all: WeakMap<EventBase, Sources> = new WeakMap()
  readonly #core: Core
  readonly #byKey: Map<number, Source> = new Map()

  private constructor(core: Core) {
    this.#core = core
    core.onStep = (step) => {
      if (step === StepCode.NET) this.#deliver()
    }
    core.waiting.add((reason) => this.#baseClosed(reason))
  }

  /** The sources of an open base. */
  static of(base: EventBase): Sources {
    if (!(base instanceof EventBase)) throw wrongType('base', 'an instance of EventBase', base)
    const core = EventBase.coreOf(base)
    core.check()
    let sources = Sources.#all.get(base)
    if (sources === undefined) {
      sources = new Sources(core)
      Sources.#all.set(base, sources)
    }
    return sources
  }

  get core(): Core {
    return this.#core
  }

  add(key: number, source: Source): void {
    this.#byKey.set(key, source)
  }

  remove(key: number): void {
    this.#byKey.delete(key)
  }

  #deliver(): void {
    const completion = nextCompletion(this.#core.handle)
    if (completion !== undefined) this.#byKey.get(completion.key)?.complete(completion)
  }

  #baseClosed(reason: Error): void {
    const all = [...this.#byKey.values()]
    this.#byKey.clear()
    callAll(
      'Sources of the base failed to close',
      all.map((source) => () => source.baseClosed(reason)),
    )
  }
}
