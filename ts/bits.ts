/** Sets of the bits of `EV`. */

import { EV } from './constants.js'
import { EventError } from './errors.js'

/** Interests in a descriptor. */
export const IO: number = EV.READ | EV.WRITE | EV.CLOSED
/** Interests that are registered with the backend. */
export const REGISTERED: number = IO | EV.SIGNAL
/** Results of an event: the bits that its callback can receive and that it can be activated with. */
export const RESULTS: number = REGISTERED | EV.TIMEOUT
/** The bits that an event can be made with. */
export const EVENT: number = RESULTS | EV.PERSIST | EV.ET
/** All bits of `EV`. */
export const ALL = 0xff

/** Throws the error for bits that contradict each other. */
export function badFlags(message: string): never {
  throw new EventError('ERR_EVENT_BAD_FLAGS', message)
}
