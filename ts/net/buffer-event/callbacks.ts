/** Who is told what, and when. */

import type { Event } from '../../event.js'
import type { EventBase } from '../../event-base.js'
import { BEV } from './bits.js'

/** Something to call with the stream. */
export type StreamCallback<Stream> = (stream: Stream) => void

/**
 * Called for what is neither bytes nor room for bytes.
 *
 * @param what why: bits of `BEV`
 * @param stream the buffer event itself
 * @param error with `BEV.ERROR`, what went wrong: a `SystemError`
 */
export type StreamEventCallback<Stream> = (what: number, stream: Stream, error: Error | undefined) => void

/** The callbacks of a stream. */
export interface StreamCallbacks<Stream> {
  onRead?: StreamCallback<Stream> | undefined
  onWrite?: StreamCallback<Stream> | undefined
  onEvent?: StreamEventCallback<Stream> | undefined
}

/**
 * Calls back: at once, or when deferred from an event of its own, in the order CONNECTED, read, write, other events.
 * What one callback throws does not lose those behind it: they have their turn in the next pass.
 */
export class Callbacks<Stream> {
  current: StreamCallbacks<Stream> = {}
  readonly #stream: Stream
  readonly #deferred: boolean
  /** Active when something is due that may not be done where it was asked for. */
  readonly #turn: Event
  readonly #flush: () => void
  #read = false
  #write = false
  #what = 0
  #error: Error | undefined
  #scheduled = false
  #wantsFlush = false
  /** How many entries of the loop are on the stack. */
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
    this.#turn = base.newEvent(-1, 0, () => this.#onTurn(), priority === undefined ? {} : { priority })
  }

  get priority(): number {
    return this.#turn.priority
  }

  set priority(priority: number) {
    this.#turn.priority = priority
  }

  /** There are bytes. */
  notifyRead(defer = false): void {
    this.#read = true
    this.#due(defer)
  }

  /** There is room. */
  notifyWrite(defer = false): void {
    this.#write = true
    this.#due(defer)
  }

  /** Something happened. */
  notifyEvent(what: number, error?: Error, defer = false): void {
    this.#what |= what
    if (error !== undefined) this.#error = error
    this.#due(defer)
  }

  /** Has the output written soon: at the end of the callback that runs, or in the loop. */
  wantFlush(): void {
    this.#wantsFlush = true
    if (this.#depth === 0) this.#schedule()
  }

  /** Runs what the loop calls, and writes afterwards what was added meanwhile. */
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
    this.#turn.close()
  }

  #due(defer: boolean): void {
    if (this.#closed) return
    if (this.#deferred || defer) this.#schedule()
    else this.#deliver()
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed || this.#turn.closed) return
    this.#turn.activate()
    this.#scheduled = true
  }

  #scheduleRest(): void {
    if (this.#wantsFlush || this.#read || this.#write || this.#what !== 0) this.#schedule()
  }

  #onTurn(): void {
    this.enter(() => {
      try {
        if (this.#wantsFlush) {
          this.#wantsFlush = false
          this.#flush()
        }
      } finally {
        // Until here what became due needed no turn of its own.
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
        // They came meanwhile, and go first: the end does not overtake bytes.
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
