/** Watchers: callbacks before and after each wait of the loop. */

import { AsyncResource } from 'node:async_hooks'

import type { Core } from './core.js'
import { nameOfFunction, showAs } from './inspect.js'
import { crossing, native, StepCode } from './native.js'

/**
 * Called when the loop is about to wait.
 *
 * @param wait the time that the loop is going to wait, in milliseconds; `undefined` if it has no deadline
 * @param watcher the watcher itself
 */
export type PrepareCallback = (wait: number | undefined, watcher: Watcher) => void

/**
 * Called when the loop has waited.
 *
 * @param watcher the watcher itself
 */
export type CheckCallback = (watcher: Watcher) => void

/** `destroy` hooks do not run when the resource of a watcher is collected, so the resource needs no finalizer. */
const RESOURCE = Object.freeze({ requireManualDestroy: true })

let make: (core: Core, prepare: PrepareCallback | undefined, check: CheckCallback | undefined) => Watcher
let deliver: (core: Core, step: number, inContext: boolean) => void

/**
 * A callback before or after each wait of a loop: see {@link EventBase.onPrepare} and {@link EventBase.onCheck}. It
 * exists until it or its base is closed, even if no code references it.
 */
export class Watcher {
  readonly #core: Core
  readonly #id: number
  readonly #prepare: PrepareCallback | undefined
  readonly #check: CheckCallback | undefined
  readonly #context: AsyncResource = new AsyncResource('EventBase', RESOURCE)

  private constructor(core: Core, prepare: PrepareCallback | undefined, check: CheckCallback | undefined) {
    this.#core = core
    this.#prepare = prepare
    this.#check = check
    this.#id = native.baseWatch(core.handle, prepare !== undefined)
    core.watchers.set(this.#id, this)
  }

  static {
    make = (core, prepare, check) => new Watcher(core, prepare, check)
    deliver = (core, step, inContext) => {
      const watcher = core.watchers.get(crossing.loopWatcher(core.handle))
      core.running = undefined
      if (watcher === undefined) return
      const wait = step === StepCode.PREPARE ? crossing.loopWait(core.handle) : -1
      const call = (): void => {
        watcher.#prepare?.(wait < 0 ? undefined : wait, watcher)
        watcher.#check?.(watcher)
      }
      if (inContext) watcher.#context.runInAsyncScope(call)
      else call()
    }
    showAs(Watcher, 'Watcher', (watcher) => ({
      kind: watcher.#prepare === undefined ? 'check' : 'prepare',
      callback: nameOfFunction(watcher.#prepare ?? watcher.#check),
      closed: watcher.closed,
    }))
  }

  /** Whether the watcher or its base was closed. */
  get closed(): boolean {
    return !this.#core.watchers.has(this.#id)
  }

  /** Removes the watcher (`evwatch_free`). Idempotent, and safe in its own callback and in other callbacks. */
  close(): void {
    if (this.#core.watchers.delete(this.#id)) native.baseUnwatch(this.#core.handle, this.#id)
  }

  /** {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }
}

/** Makes a watcher that is called before the wait. */
export function watchPrepare(core: Core, callback: PrepareCallback): Watcher {
  return make(core, callback, undefined)
}

/** Makes a watcher that is called after the wait. */
export function watchCheck(core: Core, callback: CheckCallback): Watcher {
  return make(core, undefined, callback)
}

/**
 * Runs the callback of the watcher that the native loop names.
 *
 * @param inContext whether it runs in the asynchronous context in which the watcher was made, not in the loop's
 */
export function deliverWatcher(core: Core, step: number, inContext: boolean): void {
  deliver(core, step, inContext)
}
