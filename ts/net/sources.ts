/** What a base runs natively, and who is to hear of it. */

import { EventBase } from '../event-base.js'
import { callAll } from '../call-all.js'
import type { Core } from '../core.js'
import { StepCode } from '../native.js'
import { wrongType } from '../validate.js'
import { nextCompletion, type Completion } from './completion.js'

export type { Completion }

/** A listener, a connect or a relay on this side. */
export interface Source {
  /** Something happened. */
  tell(completion: Completion): void
  /** The base was closed, and the native source with it. */
  baseClosed(reason: Error): void
}

/**
 * The sources of one base, by key.
 *
 * The native layer keeps what happened in a queue and raises one signal for each entry, so callbacks run one at
 * a time, as those of events do: what is thrown or decided in one is obeyed before the next.
 */
export class Sources {
  static readonly #all: WeakMap<EventBase, Sources> = new WeakMap()
  readonly #core: Core
  readonly #byKey: Map<number, Source> = new Map()

  private constructor(base: EventBase, core: Core) {
    this.#core = core
    EventBase.onStep(base, (step) => {
      if (step === StepCode.NET) this.#deliver()
    })
    core.waiting.add((reason) => this.#baseClosed(reason))
  }

  /** The sources of an open base. */
  static of(base: EventBase): Sources {
    if (!(base instanceof EventBase)) throw wrongType('base', 'an instance of EventBase', base)
    const core = EventBase.coreOf(base)
    core.check()
    let sources = Sources.#all.get(base)
    if (sources === undefined) {
      sources = new Sources(base, core)
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
    if (completion !== undefined) this.#byKey.get(completion.key)?.tell(completion)
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
