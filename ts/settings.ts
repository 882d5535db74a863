/** The settings behind an `EventConfig`. */

import type { EventConfig } from './config.js'
import { type native, NO_TIMEOUT } from './native.js'

/** The settings of a base, in the form that the native layer takes. */
export type Settings = Parameters<typeof native.createBase>[0]

/** The settings of a base without a configuration. */
export function defaultSettings(): Settings {
  return {
    avoided: [],
    features: 0,
    flags: 0,
    interval: NO_TIMEOUT,
    callbacks: -1,
    minPriority: 1,
    priorities: 1,
    timing: false,
    coarseClock: false,
    debug: false,
  }
}

/** The settings of every configuration: `config.ts` makes bases, so `event-base.ts` cannot import it. */
export const settingsOf: WeakMap<EventConfig, Settings> = new WeakMap()
