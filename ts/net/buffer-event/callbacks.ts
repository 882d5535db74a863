/** The callbacks of a stream: which of them are due, and when they run. */

import type { Event } from '../../event.js'
import type { EventBase } from '../../event-base.js'
import { BEV } from './bits.js'

/** Called with the stream. */
export type StreamCallback<Stream> = (stream: Stream) => void

/**
 * Called when a stream has ended, an operation has failed, a timeout has expired or a connect has succeeded.
 *
 * @param what the reason: bits of `BEV`
 * @param stream the buffer event
 * @param error with `BEV.ERROR`, the failure: a `SystemError`
 */
export type StreamEventCallback<Stream> = (what: number, stream: Stream, error: Error | undefined) => void

/** The callbacks of a stream. */
export interface StreamCallbacks<Stream> {
  onRead?: StreamCallback<Stream> | undefined
  onWrite?: StreamCallback<Stream> | undefined
  onEvent?: StreamEventCallback<Stream> | undefined
}

/**
 * Runs the callbacks in the order CONNECTED, read, write, other events: immediately or, if they are deferred, from a
 * separate event. If a callback throws, the remaining ones run in the next pass.
 */
export class Callbacks<Stream> {
  current: StreamCallbacks<Stream> = {}
  readonly #stream: Stream
  readonly #deferred: boolean
  /** Activated when a deferred callback or a flush is due. */
  readonly #event: Event
  readonly #flush: () => void
  #read = false
  #write = false
  #what = 0
  #error: Error | undefined
  #scheduled = false
  #wantsFlush = false
  /** The number of calls of {@link enter} on the stack. */
  #depth = 0
  #closed = false

  constructor(
    base: EventBase,
    stream: Stream,
    settings: { deferred: boolean; priority: number | undefined; flush: () => void },
  ) {
    this.#stream = stream
    this.#deferred = settings.deferred
    this.#flush = settings.flush
    const { priority } = settings
    this.#event = base.newEvent(-1, 0, () => this.#onActive(), priority === undefined ? {} : { priority })
  }

  get priority(): number {
    return this.#event.priority
  }

  set priority(priority: number) {
    this.#event.priority = priority
  }

  /** Makes `onRead` due. */
  notifyRead(defer: boolean): void {
    this.#read = true
    this.#due(defer)
  }

  /** Makes `onWrite` due. */
  notifyWrite(defer: boolean): void {
    this.#write = true
    this.#due(defer)
  }

  /** Makes `onEvent` due. */
  notifyEvent(what: number, error: Error | undefined, defer: boolean): void {
    this.#what |= what
    if (error !== undefined) this.#error = error
    this.#due(defer)
  }

  /** Makes a flush of the output due: at the end of the current callback, or in the loop. */
  wantFlush(): void {
    this.#wantsFlush = true
    if (this.#depth === 0) this.#schedule()
  }

  /** Runs the work of a callback of the loop, and then flushes the output if a flush is due. */
  enter(work: () => void): void {
    this.#depth += 1
    let isDone = false
    try {
      work()
      if (this.#wantsFlush && this.#depth === 1 && !this.#closed) {
        this.#wantsFlush = false
        this.#flush()
      }
      isDone = true
    } finally {
      this.#depth -= 1
      if (!isDone || this.#wantsFlush) this.#scheduleRest()
    }
  }

  close(): void {
    this.#closed = true
    this.#event.close()
  }

  #due(defer: boolean): void {
    if (this.#closed) return
    if (this.#deferred || defer) this.#schedule()
    else this.#deliver()
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed || this.#event.closed) return
    this.#event.activate()
    this.#scheduled = true
  }

  #scheduleRest(): void {
    if (this.#wantsFlush || this.#read || this.#write || this.#what !== 0) this.#schedule()
  }

  #onActive(): void {
    this.enter(() => {
      try {
        if (this.#wantsFlush) {
          this.#wantsFlush = false
          this.#flush()
        }
      } finally {
        // Callbacks that have become due run below.
        this.#scheduled = false
      }
      this.#deliver()
    })
  }

  #deliver(): void {
    const stream = this.#stream
    let isDone = false
    try {
      if ((this.#what & BEV.CONNECTED) !== 0) {
        this.#what &= ~BEV.CONNECTED
        this.current.onEvent?.(BEV.CONNECTED, stream, undefined)
      }
      if (this.#read && !this.#closed) {
        this.#read = false
        this.current.onRead?.(stream)
      }
      if (this.#write && !this.#closed) {
        this.#write = false
        this.current.onWrite?.(stream)
      }
      if (this.#read || this.#write) {
        // The callbacks for bytes are due again. They run first, so that an end is not reported before bytes.
        this.#schedule()
      } else if (this.#what !== 0 && !this.#closed) {
        const what = this.#what
        const error = this.#error
        this.#what = 0
        this.#error = undefined
        this.current.onEvent?.(what, stream, error)
      }
      isDone = true
    } finally {
      if (!isDone) this.#scheduleRest()
    }
  }
}
