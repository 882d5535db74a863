/** One end of a connection: sends by its plan, checks each byte that arrives, leaves as planned. */

import { EV, type Event, type EventBase } from '../../../index.js'
import { socket } from '../../../net.js'
import type { Part } from './plan.js'

/** How the stream of the other peer ended; `'left'` if this peer left before. */
export type Ending = 'end' | 'broken' | 'left'

/** How its own stream ended. */
export type Leaving = 'end' | 'close' | 'reset' | 'failed' | 'nothing'

const SCRATCH = Buffer.alloc(65_536)
const NOTHING = Buffer.alloc(0)

/** Not a socket of Node: those report a reset after the last bytes as an end. */
export class Peer {
  sent = 0
  received = 0
  incoming: Ending | undefined
  outgoing: Leaving | undefined
  wrong: string | undefined
  readonly #fd: number
  readonly #part: Part
  readonly #head: Buffer
  readonly #body: Buffer
  readonly #in: Buffer
  readonly #reading: Event
  readonly #writing: Event
  readonly #timer: Event
  readonly #onDone: () => void
  #stalled: 'not yet' | 'now' | 'over'
  #reset = false

  /**
   * @param base the base of its events
   * @param fd its connection, which it closes
   * @param streams what it sends, in two parts, and what is expected to arrive
   * @param part what it does
   * @param onDone called once it has left
   */
  constructor(
    base: EventBase,
    fd: number,
    streams: { head?: Buffer; body: Buffer; incoming: Buffer },
    part: Part,
    onDone: () => void,
  ) {
    this.#fd = fd
    this.#part = part
    this.#head = streams.head ?? NOTHING
    this.#body = streams.body
    this.#in = streams.incoming
    this.#onDone = onDone
    this.#stalled = part.stall === undefined ? 'over' : 'not yet'
    this.#reading = base.newEvent(fd, EV.READ | EV.PERSIST, () => this.#read()).add()
    this.#writing = base.newEvent(fd, EV.WRITE | EV.PERSIST, () => this.#write()).add()
    this.#timer = base.newTimer(() => this.#goOn())
  }

  get done(): boolean {
    return this.incoming !== undefined && this.outgoing !== undefined
  }

  /** Its state, for a message. */
  toString(): string {
    return `${this.sent} sent, ${this.outgoing}, ${this.received} received, ${this.incoming}`
  }

  get #all(): number {
    return this.#head.length + this.#body.length
  }

  get #most(): number {
    const { leave, size } = this.#part
    const waits = leave.how === 'end after the other' && this.incoming === undefined
    // The last byte waits for the end of the other stream.
    return this.#all - (waits && size > 0 ? 1 : 0)
  }

  #read(): void {
    let count: number
    try {
      count = socket.read(this.#fd, SCRATCH, 0, this.#part.piece)
    } catch {
      return this.#receiveEnd('broken')
    }
    // A reset that a write reported is not reported again by a read, which returns an end.
    if (count === 0) return this.#receiveEnd(this.#reset ? 'broken' : 'end')
    if (count < 0) return
    const expected = this.#in.subarray(this.received, this.received + count)
    if (!SCRATCH.subarray(0, count).equals(expected))
      this.wrong ??= `wrong bytes among ${count} from ${this.received}`
    this.received += count
    this.#consider()
  }

  #write(): void {
    const most = Math.min(this.#part.piece, this.#most - this.sent)
    const isHead = this.sent < this.#head.length
    const [bytes, from] = isHead ? [this.#head, this.sent] : [this.#body, this.sent - this.#head.length]
    const length = Math.min(most, bytes.length - from)
    if (length > 0) {
      try {
        this.sent += Math.max(0, socket.write(this.#fd, bytes, from, length))
      } catch (error) {
        this.#reset = (error as NodeJS.ErrnoException).code !== 'EPIPE'
        this.outgoing = 'failed'
      }
    }
    this.#consider()
  }

  #receiveEnd(how: Ending): void {
    this.incoming = how
    if (how === 'broken') this.outgoing ??= 'failed'
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
      // A stream that ended in order stays so.
      if (this.outgoing !== 'end') this.outgoing = leave.how
      this.incoming ??= 'left'
    }
    const waits =
      this.incoming === undefined && (leave.how === 'end after the other' || leave.how === 'fall silent')
    if (this.outgoing === undefined && this.sent >= this.#most && !waits) this.#end()
    if (this.done) return this.#close()
    const goes = this.#stalled !== 'now'
    watch(this.#reading, goes && this.incoming === undefined)
    watch(this.#writing, goes && this.outgoing === undefined && this.sent < this.#most)
  }

  #end(): void {
    try {
      socket.shutdown(this.#fd, 'write')
      this.outgoing = this.sent === this.#all ? 'end' : 'nothing'
    } catch {
      this.outgoing = 'failed'
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
