/** Token buckets, which limit the rate of bytes. */

import { EV } from '../../constants.js'
import type { EventBase } from '../../event-base.js'
import { checkObject, outOfRange } from '../../validate.js'
import { checkLimit as checkRate, type RateLimit } from '../rate-group.js'
import type { Direction } from './flow.js'

/** Rate limits by direction: one limit that applies to each direction, or separate limits for one or both. */
export type DirectionLimit = RateLimit | { read?: RateLimit | undefined; write?: RateLimit | undefined }

/** The properties of both forms of a {@link DirectionLimit}. */
type AnyLimit = Partial<RateLimit> & Exclude<DirectionLimit, RateLimit>

const SECOND = 1000
/** The longest wait for an empty bucket, in milliseconds, after which it is checked again. */
const DAY = 86_400_000
/**
 * An empty bucket waits until it has the tokens of this number of milliseconds, so that the loop is not woken for a few
 * bytes.
 */
const REST = 20

/** Tokens, one for each byte that may move. Time adds tokens up to the burst, and each byte removes one. */
export class Bucket {
  readonly #base: EventBase
  readonly rate: number
  readonly burst: number
  #tokens: number
  #at: number

  constructor(base: EventBase, { rate, burst }: ReturnType<typeof checkRate>) {
    this.#base = base
    this.rate = rate
    this.burst = burst
    this.#tokens = burst
    this.#at = base.monotonic()
  }

  /** The number of bytes that may move now; below 0 if more have moved. */
  get tokens(): number {
    const now = this.#base.monotonic()
    this.#tokens = Math.min(this.burst, this.#tokens + ((now - this.#at) * this.rate) / SECOND)
    this.#at = now
    return Math.floor(this.#tokens)
  }

  spend(count: number): void {
    this.#tokens -= count
  }

  /** The number of tokens at which a waiting direction continues. */
  get worth(): number {
    return Math.min(this.burst, Math.max(1, Math.floor((this.rate * REST) / SECOND)))
  }

  /** Milliseconds until there are `worth` tokens. */
  get rest(): number {
    const missing = this.worth - this.tokens
    // The time is rounded up, so that the bucket has the tokens when it has passed.
    return missing <= 0 ? 0 : Math.min(Math.ceil(((missing + 1) * SECOND * 1000) / this.rate) / 1000, DAY)
  }
}

/** Checks a limit, and returns its buckets by direction. */
export function checkLimit(base: EventBase, name: string, limit: DirectionLimit): Map<Direction, Bucket> {
  const { rate, burst, read, write } = checkObject<AnyLimit>(name, limit)
  const buckets = new Map<Direction, Bucket>()
  if (rate !== undefined || burst !== undefined) {
    if (read !== undefined || write !== undefined) {
      throw outOfRange(name, 'one rate for both directions, or one for each', 'both')
    }
    const both = checkRate(name, { rate, burst } as RateLimit)
    return buckets.set(EV.READ, new Bucket(base, both)).set(EV.WRITE, new Bucket(base, both))
  }
  if (read !== undefined) buckets.set(EV.READ, new Bucket(base, checkRate(`${name}.read`, read)))
  if (write !== undefined) buckets.set(EV.WRITE, new Bucket(base, checkRate(`${name}.write`, write)))
  if (buckets.size === 0) throw outOfRange(name, 'a limit of one direction at least', 'none')
  return buckets
}
