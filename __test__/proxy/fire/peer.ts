/** One end of a connection: sends what its plan says, checks each byte that comes, leaves as planned. */

import { EV, type Event, type EventBase } from '../../../index.js'
import { socket } from '../../../net.js'
import type { Part } from './plan.js'

/** How the other's stream came to its end; `'left'` where this peer left before that. */
export type Heard = 'end' | 'broken' | 'left'

/** How its own stream came to its end. */
export type Said = 'end' | 'close' | 'reset' | 'failed' | 'nothing'

const SCRATCH = Buffer.alloc(65_536)

/** Not a socket of Node's: those take a reset behind the last bytes for an end. */
export class Peer {
  sent = 0
  received = 0
  heard: Heard | undefined
  said: Said | undefined
  wrong: string | undefined
  readonly #fd: number
  readonly #part: Part
  readonly #out: Buffer
  readonly #in: Buffer
  readonly #reading: Event
  readonly #writing: Event
  readonly #timer: Event
  readonly #onDone: () => void
  #stalled: 'not yet' | 'now' | 'over'
  #reset = false

  constructor(base: EventBase, fd: number, out: Buffer, incoming: Buffer, part: Part, onDone: () => void) {
    this.#fd = fd
    this.#part = part
    this.#out = out
    this.#in = incoming
    this.#onDone = onDone
    this.#stalled = part.stall === undefined ? 'over' : 'not yet'
    this.#reading = base.newEvent(fd, EV.READ | EV.PERSIST, () => this.#read()).add()
    this.#writing = base.newEvent(fd, EV.WRITE | EV.PERSIST, () => this.#write()).add()
    this.#timer = base.newTimer(() => this.#goOn())
  }

  get done(): boolean {
    return this.heard !== undefined && this.said !== undefined
  }

  /** How it stands, for a message. */
  toString(): string {
    return `${this.sent} sent, ${this.said}, ${this.received} received, ${this.heard}`
  }

  get #most(): number {
    const { leave, size } = this.#part
    const waits = leave.how === 'end after the other' && this.heard === undefined
    // The last byte of the plan waits for the end of the other's stream.
    return waits && size > 0 ? this.#out.length - 1 : this.#out.length
  }

  #read(): void {
    let count: number
    try {
      count = socket.read(this.#fd, SCRATCH, 0, this.#part.piece)
    } catch {
      return this.#hear('broken')
    }
    // Whoever was told of a reset by a write is not told again by a read.
    if (count === 0) return this.#hear(this.#reset ? 'broken' : 'end')
    if (count < 0) return
    const expected = this.#in.subarray(this.received, this.received + count)
    if (!SCRATCH.subarray(0, count).equals(expected))
      this.wrong ??= `other bytes than were sent within ${count} from ${this.received}`
    this.received += count
    this.#consider()
  }

  #write(): void {
    const length = Math.min(this.#part.piece, this.#most - this.sent)
    if (length > 0) {
      try {
        this.sent += Math.max(0, socket.write(this.#fd, this.#out, this.sent, length))
      } catch (error) {
        this.#reset = (error as NodeJS.ErrnoException).code !== 'EPIPE'
        this.said = 'failed'
      }
    }
    this.#consider()
  }

  #hear(how: Heard): void {
    this.heard = how
    if (how === 'broken') this.said ??= 'failed'
    this.#consider()
  }

  #goOn(): void {
    this.#stalled = 'over'
    this.#consider()
  }

  #consider(): void {
    const { leave, stall } = this.#part
    if (this.#reading.closed) return
    if (this.#stalled === 'not yet' && stall !== undefined && this.sent + this.received >= stall.after) {
      this.#stalled = 'now'
      this.#timer.add(stall.for)
    }
    if ((leave.how === 'close' || leave.how === 'reset') && this[leave.of] >= leave.after) {
      if (leave.how === 'reset') socket.setOption(this.#fd, 'linger', 0)
      // What was ended in order before stays ended.
      if (this.said !== 'end') this.said = leave.how
      this.heard ??= 'left'
    }
    const waits =
      this.heard === undefined && (leave.how === 'end after the other' || leave.how === 'fall silent')
    if (this.said === undefined && this.sent >= this.#most && !waits) this.#end()
    if (this.done) return this.#close()
    const goes = this.#stalled !== 'now'
    watch(this.#reading, goes && this.heard === undefined)
    watch(this.#writing, goes && this.said === undefined && this.sent < this.#most)
  }

  #end(): void {
    try {
      socket.shutdown(this.#fd, 'write')
      this.said = this.sent === this.#out.length ? 'end' : 'nothing'
    } catch {
      this.said = 'failed'
    }
  }

  #close(): void {
    for (const event of [this.#reading, this.#writing, this.#timer]) event.close()
    socket.close(this.#fd)
    this.#onDone()
  }
}

function watch(event: Event, wanted: boolean): void {
  if (wanted) event.add()
  else event.del()
}
