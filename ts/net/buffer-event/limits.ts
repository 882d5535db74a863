/** The rate limit of one stream, and the rate limit that several streams share. */

import { EV } from '../../constants.js'
import type { Event } from '../../event.js'
import { EventBase } from '../../event-base.js'
import { closedError } from '../../errors.js'
import { showAs } from '../../inspect.js'
import { checkInteger, checkOptions, wrongType } from '../../validate.js'
import { checkLimit, type Bucket, type DirectionLimit } from './buckets.js'
import { Hold, type Direction, type Flow, type Limiter } from './flow.js'

/** Token buckets, and timers that expire when an empty bucket has refilled. */
class Waits {
  buckets: Map<Direction, Bucket>
  readonly #base: EventBase
  readonly #timers: Map<Direction, Event> = new Map()
  readonly #refilled: (direction: Direction) => void

  constructor(base: EventBase, buckets: Map<Direction, Bucket>, refilled: (direction: Direction) => void) {
    this.#base = base
    this.buckets = buckets
    this.#refilled = refilled
  }

  /** Starts the timer of an empty bucket. */
  wait(direction: Direction): void {
    const bucket = this.buckets.get(direction)
    if (bucket === undefined) return
    let timer = this.#timers.get(direction)
    if (timer === undefined) {
      timer = this.#base.newTimer(() => this.#check(direction))
      this.#timers.set(direction, timer)
    }
    if (timer.pending() === 0) timer.add(bucket.rest)
  }

  close(): void {
    for (const timer of this.#timers.values()) timer.close()
  }

  #check(direction: Direction): void {
    const bucket = this.buckets.get(direction)
    if (bucket === undefined || bucket.tokens >= bucket.worth) this.#refilled(direction)
    else this.wait(direction)
  }
}

/** The rate limit of one stream. */
export class StreamLimit implements Limiter {
  readonly #flow: Flow
  readonly #waits: Waits

  constructor(flow: Flow, buckets: Map<Direction, Bucket>) {
    this.#flow = flow
    this.#waits = new Waits(flow.base, buckets, (direction) => flow.release(direction, Hold.LIMIT))
  }

  /** The tokens that are left; `undefined` without a limit. */
  left(direction: Direction): number | undefined {
    return this.#waits.buckets.get(direction)?.tokens
  }

  allowance(direction: Direction): number {
    const bucket = this.#waits.buckets.get(direction)
    if (bucket === undefined) return Infinity
    const { tokens } = bucket
    if (tokens >= bucket.worth) return tokens
    this.#rest(direction)
    return 0
  }

  spend(direction: Direction, count: number): void {
    const bucket = this.#waits.buckets.get(direction)
    if (bucket === undefined) return
    bucket.spend(count)
    if (bucket.tokens < bucket.worth) this.#rest(direction)
    else this.#flow.release(direction, Hold.LIMIT)
  }

  close(): void {
    this.#waits.close()
    this.#flow.limiters.delete(this)
    this.#flow.release(EV.READ, Hold.LIMIT)
    this.#flow.release(EV.WRITE, Hold.LIMIT)
  }

  #rest(direction: Direction): void {
    this.#waits.wait(direction)
    this.#flow.hold(direction, Hold.LIMIT)
  }
}

/** The membership of one stream in a group. */
export class Membership implements Limiter {
  readonly flow: Flow
  readonly #group: BufferEventGroup

  constructor(group: BufferEventGroup, flow: Flow) {
    this.#group = group
    this.flow = flow
  }

  get group(): BufferEventGroup {
    return this.#group
  }

  allowance(direction: Direction): number {
    return BufferEventGroup.allowance(this.#group, direction)
  }

  spend(direction: Direction, count: number): void {
    BufferEventGroup.spend(this.#group, direction, count)
  }

  close(): void {
    BufferEventGroup.leave(this.#group, this)
  }
}

/**
 * Streams that share a limit (`bufferevent_rate_limit_group`), which applies to all of them together. Each stream may
 * move its share of the remaining tokens, but at least `minShare` bytes.
 */
export class BufferEventGroup {
  readonly #base: EventBase
  readonly #minShare: number
  readonly #members: Set<Membership> = new Set()
  /** The directions in which all members are held. */
  readonly #held: Set<Direction> = new Set()
  #waits: Waits
  #bytesRead = 0
  #bytesWritten = 0
  #closed = false

  /**
   * @param base the base of its members
   * @param limit the limit of all members together
   * @param options `minShare`: the minimum number of bytes that a member may move while tokens are left, 64 by default
   *   (`bufferevent_rate_limit_group_set_min_share`)
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_CLOSED`
   */
  constructor(base: EventBase, limit: DirectionLimit, options?: { minShare?: number | undefined }) {
    if (!(base instanceof EventBase)) throw wrongType('base', 'an instance of EventBase', base)
    EventBase.coreOf(base).check()
    const { minShare = 64 } = checkOptions(options)
    this.#base = base
    this.#minShare = checkInteger('options.minShare', minShare, 1, Number.MAX_SAFE_INTEGER)
    this.#waits = this.#wait(limit)
  }

  /** The base of its members. */
  get base(): EventBase {
    return this.#base
  }

  /** The number of members. */
  get size(): number {
    return this.#members.size
  }

  /** The bytes that its members have moved (`bufferevent_rate_limit_group_get_totals`). */
  get stats(): { bytesRead: number; bytesWritten: number } {
    return { bytesRead: this.#bytesRead, bytesWritten: this.#bytesWritten }
  }

  /** Sets {@link stats} to 0 (`bufferevent_rate_limit_group_reset_totals`). */
  resetStats(): this {
    this.#bytesRead = 0
    this.#bytesWritten = 0
    return this
  }

  /**
   * Sets another limit (`bufferevent_rate_limit_group_set_cfg`), with a full burst.
   *
   * @param limit the limit of all members together
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_CLOSED`
   */
  setLimit(limit: DirectionLimit): this {
    if (this.#closed) throw closedError('group')
    const waits = this.#wait(limit)
    this.#waits.close()
    this.#waits = waits
    this.#release(EV.READ)
    this.#release(EV.WRITE)
    return this
  }

  /**
   * The number of bytes that all members together may move now; below 0 if more bytes have moved than the limit allows
   * (`bufferevent_rate_limit_group_get_read_limit`, `bufferevent_rate_limit_group_get_write_limit`).
   *
   * @param direction `EV.READ` or `EV.WRITE`
   * @returns bytes; `undefined` if there is no limit
   */
  left(direction: Direction): number | undefined {
    return this.#waits.buckets.get(direction)?.tokens
  }

  /**
   * Counts bytes that were moved by other means (`bufferevent_rate_limit_group_decrement_read`,
   * `bufferevent_rate_limit_group_decrement_write`).
   *
   * @param direction `EV.READ` or `EV.WRITE`
   * @param count the number of bytes; a negative number returns tokens
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  spend(direction: Direction, count: number): this {
    checkInteger('count', count, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
    this.#spend(direction, count)
    return this
  }

  /** Removes all members, and ends the limit. Idempotent. */
  close(): void {
    this.#closed = true
    for (const member of this.#members) BufferEventGroup.leave(this, member)
    this.#waits.close()
  }

  /** {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  #wait(limit: DirectionLimit): Waits {
    const buckets = checkLimit(this.#base, 'limit', limit)
    return new Waits(this.#base, buckets, (direction) => this.#release(direction))
  }

  #spend(direction: Direction, count: number): void {
    const bucket = this.#waits.buckets.get(direction)
    if (bucket === undefined) return
    bucket.spend(count)
    if (bucket.tokens < bucket.worth) this.#hold(direction)
    else this.#release(direction)
  }

  #hold(direction: Direction): void {
    this.#waits.wait(direction)
    this.#held.add(direction)
    for (const { flow } of this.#members) flow.hold(direction, Hold.GROUP)
  }

  #release(direction: Direction): void {
    if (!this.#held.delete(direction)) return
    // The first member becomes the last, so that the order rotates.
    const [first] = this.#members
    if (first !== undefined) {
      this.#members.delete(first)
      this.#members.add(first)
    }
    for (const { flow } of this.#members) flow.release(direction, Hold.GROUP)
  }

  /** @internal */
  static join(group: BufferEventGroup, flow: Flow): Membership {
    if (!(group instanceof BufferEventGroup)) {
      throw wrongType('group', 'an instance of BufferEventGroup', group)
    }
    if (group.#closed) throw closedError('group')
    if (group.#base !== flow.base) throw wrongType('group', 'a group of the same base', group)
    const member = new Membership(group, flow)
    group.#members.add(member)
    flow.limiters.add(member)
    return member
  }

  /** @internal */
  static leave(group: BufferEventGroup, member: Membership): void {
    group.#members.delete(member)
    member.flow.limiters.delete(member)
    member.flow.release(EV.READ, Hold.GROUP)
    member.flow.release(EV.WRITE, Hold.GROUP)
  }

  /** @internal */
  static allowance(group: BufferEventGroup, direction: Direction): number {
    const bucket = group.#waits.buckets.get(direction)
    if (bucket === undefined) return Infinity
    const { tokens } = bucket
    if (tokens >= bucket.worth) return Math.max(Math.floor(tokens / group.#members.size), group.#minShare)
    group.#hold(direction)
    return 0
  }

  /** @internal */
  static spend(group: BufferEventGroup, direction: Direction, count: number): void {
    if (direction === EV.READ) group.#bytesRead += count
    else group.#bytesWritten += count
    group.#spend(direction, count)
  }

  static {
    showAs(BufferEventGroup, 'BufferEventGroup', (group) => ({
      size: group.#members.size,
      bytesRead: group.#bytesRead,
      bytesWritten: group.#bytesWritten,
      closed: group.#closed,
    }))
  }
}
