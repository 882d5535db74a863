/** The state of a buffer event, which its callbacks and its transport share. */

import { EV } from '../../constants.js'
import type { EventBase } from '../../event-base.js'
import { BEV } from './bits.js'
import { ByteQueue } from './byte-queue.js'
import type { Callbacks } from './callbacks.js'
import type { Channel } from './channel.js'

/** A direction: `EV.READ` or `EV.WRITE`. */
export type Direction = typeof EV.READ | typeof EV.WRITE

/** The reasons why an enabled direction is suspended (`BEV_SUSPEND_*`). */
export const Hold: Readonly<{ WATERMARK: 1; LIMIT: 2; GROUP: 4 }> = Object.freeze({
  WATERMARK: 1,
  LIMIT: 2,
  GROUP: 4,
})

/** A rate limit of a flow. */
export interface Limiter {
  /** The number of bytes that may move now. At 0 or less, the direction is held. */
  allowance(direction: Direction): number
  /** Counts bytes that have moved. */
  spend(direction: Direction, count: number): void
  /** Removes the limit. */
  close(): void
}

/** The state of a buffer event. */
export class Flow {
  readonly base: EventBase
  readonly input: ByteQueue = new ByteQueue()
  readonly output: ByteQueue = new ByteQueue()
  readonly limiters: Set<Limiter> = new Set()
  /** Bits of `EV`. Writing is enabled initially. */
  enabled: number = EV.WRITE
  readLow = 0
  /** 0 means no limit. */
  readHigh = 0
  writeLow = 0
  /** Milliseconds; `undefined` means no timeout. */
  readTimeout: number | undefined
  writeTimeout: number | undefined
  maxSingleRead = 16_384
  maxSingleWrite = 262_144
  error: Error | undefined
  closed = false
  /** Called once the stream is closed. */
  onClose: (() => void) | undefined
  /** Whether the writing side ends once the output is empty. */
  ending = false
  /** Whether the writing side has ended. */
  ended = false
  bytesRead = 0
  bytesWritten = 0
  callbacks!: Pick<Callbacks<unknown>, 'notifyRead' | 'notifyWrite' | 'notifyEvent' | 'wantFlush' | 'enter'>
  channel!: Channel
  /** Bits of {@link Hold}. */
  #readHolds = 0
  #writeHolds = 0

  constructor(base: EventBase) {
    this.base = base
    ByteQueue.listen(this.input, () => this.checkWatermark())
    ByteQueue.listen(this.output, (added) => {
      if (added > 0 && this.mayWrite) this.channel.kick()
    })
  }

  get mayRead(): boolean {
    return !this.closed && (this.enabled & EV.READ) !== 0 && this.#readHolds === 0
  }

  get mayWrite(): boolean {
    return !this.closed && (this.enabled & EV.WRITE) !== 0 && this.#writeHolds === 0
  }

  /** Whether there are bytes to write, or the end of the stream must be written. */
  get hasToWrite(): boolean {
    return this.output.length > 0 || (this.ending && !this.ended)
  }

  /** Enables directions, bits of `EV`. Changes nothing if adding an event throws. */
  enable(what: number): void {
    const before = this.enabled
    this.enabled |= what
    try {
      if ((what & EV.READ) !== 0) this.channel.setReading(this.mayRead)
    } catch (error) {
      this.enabled = before
      throw error
    }
    if ((what & EV.WRITE) !== 0 && this.mayWrite) this.channel.kick()
  }

  disable(what: number): void {
    this.enabled &= ~what
    if ((what & EV.READ) !== 0) this.channel.setReading(false)
    if ((what & EV.WRITE) !== 0) this.channel.kick()
  }

  hold(direction: Direction, reason: number): void {
    if (this.closed) return
    if (direction === EV.READ) {
      this.#readHolds |= reason
      this.#updateReading()
    } else {
      this.#writeHolds |= reason
      this.channel.kick()
    }
  }

  release(direction: Direction, reason: number): void {
    if (this.closed) return
    if (direction === EV.READ) {
      if ((this.#readHolds & reason) === 0) return
      this.#readHolds &= ~reason
      this.#updateReading()
    } else {
      if ((this.#writeHolds & reason) === 0) return
      this.#writeHolds &= ~reason
      if (this.mayWrite && this.hasToWrite) this.channel.kick()
    }
  }

  checkWatermark(): void {
    if (this.readHigh !== 0 && this.input.length >= this.readHigh) this.hold(EV.READ, Hold.WATERMARK)
    else this.release(EV.READ, Hold.WATERMARK)
  }

  /** The number of bytes that may be read or written by one call. */
  allowance(direction: Direction): number {
    let most = direction === EV.READ ? this.maxSingleRead : this.maxSingleWrite
    if (direction === EV.READ && this.readHigh !== 0) most = Math.min(most, this.readHigh - this.input.length)
    return Math.max(Math.min(most, this.limit(direction)), 0)
  }

  /** The number of bytes that the limits allow; `Infinity` without limits. */
  limit(direction: Direction): number {
    let most = Infinity
    for (const limiter of this.limiters) most = Math.min(most, limiter.allowance(direction))
    return most
  }

  /** Adds received bytes to the input. */
  received(chunk: Buffer): void {
    this.input.append(chunk)
    this.countReceived(chunk.length)
    this.trigger(EV.READ)
  }

  /** Counts received bytes. */
  countReceived(count: number): void {
    this.bytesRead += count
    for (const limiter of this.limiters) limiter.spend(EV.READ, count)
  }

  /** Counts sent bytes. */
  countSent(count: number): void {
    this.bytesWritten += count
    for (const limiter of this.limiters) limiter.spend(EV.WRITE, count)
  }

  /** Makes `onRead` and `onWrite` due if the low watermarks allow it (`bufferevent_trigger`). */
  trigger(what: number, ignoreWatermarks = false, defer = false): void {
    const hasBytes = ignoreWatermarks || this.input.length >= this.readLow
    if ((what & EV.READ) !== 0 && hasBytes) this.callbacks.notifyRead(defer)
    if (this.closed) return
    const hasRoom = ignoreWatermarks || this.output.length <= this.writeLow
    if ((what & EV.WRITE) !== 0 && hasRoom) this.callbacks.notifyWrite(defer)
  }

  /** Disables a direction because of its end, a failure or a timeout, and makes `onEvent` due. */
  stop(direction: Direction, why: number, error?: Error, defer = false): void {
    if (error !== undefined) this.error = error
    this.disable(direction)
    this.callbacks.notifyEvent(why | (direction === EV.READ ? BEV.READING : BEV.WRITING), error, defer)
  }

  #updateReading(): void {
    try {
      this.channel.setReading(this.mayRead)
    } catch (error) {
      // The caller has only removed bytes or changed a limit: its call must not throw this failure.
      this.enabled &= ~EV.READ
      this.stop(EV.READ, BEV.ERROR, error as Error, true)
    }
  }
}
