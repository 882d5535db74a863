/** A rate limit that relays share. */

import { EventBase } from '../event-base.js'
import { EventError } from '../errors.js'
import { showAs } from '../inspect.js'
import { native } from '../native.js'
import { checkInteger, checkObject, outOfRange, wrongType } from '../validate.js'

/** A rate limit, which applies to each direction separately. */
export interface RateLimit {
  /** Bytes per second on average; a whole number, at least 1. */
  rate: number
  /** Bytes that may move without delay after a pause; a whole number, at least 1. Default `rate`. */
  burst?: number | undefined
}

/** The native part of a group. */
export type NativeRateGroup = ReturnType<typeof native.rateGroup>

const MOST = Number.MAX_SAFE_INTEGER

/** Checks a limit, and adds the default. `name` is the name of the limit in messages. */
export function checkLimit(name: string, limit: RateLimit): { rate: number; burst: number } {
  const given = checkObject(name, limit)
  const rate = checkInteger(`${name}.rate`, given.rate, 1, MOST)
  return { rate, burst: checkInteger(`${name}.burst`, given.burst ?? rate, 1, MOST) }
}

/**
 * A limit that relays share (libevent's `bufferevent_rate_limit_group`). It applies separately to the bytes that all
 * members together move from `a` to `b`, and to those that they move from `b` to `a`.
 *
 * Members that wait are served in the order in which they began to wait, with equal shares, so that no member is
 * starved. A share that a member does not use goes to the others. A member may also have its own limit.
 *
 * ```ts
 * import { EventBase } from 'event-base'
 * import { RateGroup, relay, socket } from 'event-base/net'
 *
 * const base = new EventBase()
 * const group = new RateGroup(base, { rate: 1_000_000, burst: 64 * 1024 })
 * const [one, other] = [socket.pair(), socket.pair()]
 * const pipe = relay(base, one[0], other[0], { group })
 * console.log(group.members) // 1
 * group.setLimit({ rate: 5_000_000 })
 * pipe.close()
 * for (const fd of [one[1], other[1]]) socket.close(fd)
 * base.close()
 * ```
 */
export class RateGroup {
  readonly #base: EventBase
  readonly #native: NativeRateGroup
  #closed = false

  /**
   * Makes a group without members, with a full burst.
   *
   * @param base the base of its relays
   * @param limit the limit of each direction
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE` for a rate or burst below 1, `ERR_EVENT_CLOSED`
   *   for a closed base
   */
  constructor(base: EventBase, limit: RateLimit) {
    if (!(base instanceof EventBase)) throw wrongType('base', 'an instance of EventBase', base)
    EventBase.coreOf(base).check()
    const { rate, burst } = checkLimit('limit', limit)
    this.#base = base
    this.#native = native.rateGroup(rate, burst)
  }

  /** The number of relays in the group. */
  get members(): number {
    return native.rateGroupMembers(this.#native)
  }

  /** Whether {@link close} was called. */
  get closed(): boolean {
    return this.#closed
  }

  /**
   * Sets another limit. Members that wait use it within 0.2 seconds.
   *
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE` for a rate or burst below 1, `ERR_EVENT_CLOSED`
   */
  setLimit(limit: RateLimit): void {
    const { rate, burst } = checkLimit('limit', limit)
    native.rateGroupSetLimit(this.#native, rate, burst)
  }

  /**
   * Ends the limit. Members continue without it; members that wait continue within 0.2 seconds. No relay can join after
   * that. Idempotent.
   */
  close(): void {
    this.#closed = true
    native.rateGroupClose(this.#native)
  }

  /** {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  /**
   * The native group, for a relay of `base`.
   *
   * @internal
   */
  static nativeOf(group: RateGroup, base: EventBase): NativeRateGroup {
    if (!(group instanceof RateGroup)) throw wrongType('options.group', 'an instance of RateGroup', group)
    if (group.#base !== base) throw outOfRange('options.group', 'a group of the same base', 'one of another')
    if (group.#closed) throw new EventError('ERR_EVENT_CLOSED', 'The rate group is closed')
    return group.#native
  }

  static {
    showAs(RateGroup, 'RateGroup', (group) => ({
      members: native.rateGroupMembers(group.#native),
      closed: group.#closed,
    }))
  }
}
