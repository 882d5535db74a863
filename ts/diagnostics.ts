/** The channels of `node:diagnostics_channel` that this package publishes to. */

import { type Channel, channel } from 'node:diagnostics_channel'

import type { Method } from './constants.js'
import type { EventBase } from './event-base.js'

/** How much a {@link LogMessage} matters. */
export type LogSeverity = 'debug' | 'message' | 'warning' | 'error'

/** A message for whoever looks after the program; published to `event-base:log`. */
export interface LogMessage {
  /**
   * `debug`: for the curious; `message`: something that was asked for; `warning`: something is wrong in the program
   * or its surroundings, and was dealt with; `error`: it could not be dealt with.
   */
  readonly severity: LogSeverity
  /** The message for people: one line, whose words may change. */
  readonly message: string
  /** The base it is about, if it is about one that still exists. */
  readonly base: EventBase | undefined
  /** The name of the backend it is about, if it is about one. */
  readonly method: Method | undefined
}

/** A base was made, or was closed; published to `event-base:base`. */
export interface BaseMessage {
  /** `created`: the base can be used; `closed`: it cannot any more. */
  readonly change: 'created' | 'closed'
  /** The base. */
  readonly base: EventBase
}

/** Bears {@link LogMessage}s. */
export const logChannel: Channel = channel('event-base:log')

/** Bears {@link BaseMessage}s. */
export const baseChannel: Channel = channel('event-base:base')

/** Tells of a base, if anybody listens. */
export function tellOfBase(base: EventBase, change: BaseMessage['change']): void {
  if (!baseChannel.hasSubscribers) return
  const message: BaseMessage = { change, base }
  baseChannel.publish(message)
}
