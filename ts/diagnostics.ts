/** The channels of `node:diagnostics_channel` that this package publishes to. */

import { type Channel, channel } from 'node:diagnostics_channel'

import type { Method } from './constants.js'
import type { EventBase } from './event-base.js'

/** The severity of a {@link LogMessage}. */
export type LogSeverity = 'debug' | 'message' | 'warning' | 'error'

/** A message for the operator of the program; published to `event-base:log`. */
export interface LogMessage {
  /**
   * `debug`: details; `message`: information that was requested; `warning`: a fault of the program or its environment
   * that was handled; `error`: a fault that was not handled.
   */
  readonly severity: LogSeverity
  /** The message, for people. It is one line; its wording may change. */
  readonly message: string
  /** The base that the message concerns; `undefined` if it concerns no base or the base no longer exists. */
  readonly base: EventBase | undefined
  /** The name of the backend that the message concerns; `undefined` if it concerns no backend. */
  readonly method: Method | undefined
}

/** A base was made, or was closed; published to `event-base:base`. */
export interface BaseMessage {
  /** `created`: the base can be used; `closed`: it can no longer be used. */
  readonly change: 'created' | 'closed'
  /** The base. */
  readonly base: EventBase
}

/** Carries {@link LogMessage}s. */
export const logChannel: Channel = channel('event-base:log')

/** Carries {@link BaseMessage}s. */
export const baseChannel: Channel = channel('event-base:base')

/** Publishes a {@link BaseMessage} if the channel has subscribers. */
export function publishBase(base: EventBase, change: BaseMessage['change']): void {
  if (!baseChannel.hasSubscribers) return
  const message: BaseMessage = { change, base }
  baseChannel.publish(message)
}
