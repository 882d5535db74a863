/** The transport of two buffer events that are connected in memory. */

import { EV } from '../../constants.js'
import type { Event } from '../../event.js'
import { BEV } from './bits.js'
import type { Channel } from './channel.js'
import { brokenPipe } from './failures.js'
import type { Direction, Flow } from './flow.js'

/** Moves chunks from the output of one stream to the input of the other. */
export class PairChannel implements Channel {
  readonly fd: number = -1
  readonly connecting: boolean = false
  readonly #flow: Flow
  #partner: PairChannel | undefined
  #reading = false
  #readTimer: Event | undefined
  #writeTimer: Event | undefined

  private constructor(flow: Flow) {
    this.#flow = flow
  }

  /** Links two flows. */
  static link(first: Flow, second: Flow): void {
    const one = new PairChannel(first)
    const other = new PairChannel(second)
    one.#partner = other
    other.#partner = one
    first.channel = one
    second.channel = other
  }

  setReading(on: boolean): void {
    if (on === this.#reading) return
    this.#reading = on
    this.adjustTimeouts()
    if (!on) return
    if (this.#partner === undefined) this.#flow.stop(EV.READ, BEV.EOF)
    else this.#partner.#transfer(false)
  }

  kick(): void {
    this.write()
  }

  write(): void {
    this.#transfer(false)
    this.#adjustWriteTimeout()
  }

  /** Moves bytes even if the other stream has reached its high watermark (`bufferevent_flush`). */
  flush(what: number): void {
    const partner = this.#partner
    if ((what & EV.READ) !== 0 && partner !== undefined) partner.#transfer(true)
    if ((what & EV.WRITE) !== 0) this.#transfer(true)
  }

  adjustTimeouts(): void {
    const { readTimeout } = this.#flow
    if (this.#reading && readTimeout !== undefined) {
      this.#readTimer ??= this.#timer(EV.READ)
      this.#readTimer.add(readTimeout)
    } else {
      this.#readTimer?.del()
    }
    this.#writeTimer?.del()
    this.#adjustWriteTimeout()
  }

  close(): void {
    this.#readTimer?.close()
    this.#writeTimer?.close()
    const partner = this.#partner
    this.#partner = undefined
    if (partner === undefined) return
    partner.#partner = undefined
    const flow = partner.#flow
    // The base closes both streams.
    if (flow.closed || flow.base.closed) return
    if (partner.#reading) flow.stop(EV.READ, BEV.EOF)
    if (flow.output.length > 0) partner.#transfer(false)
  }

  #transfer(ignoresWatermark: boolean): void {
    const from = this.#flow
    if (!from.mayWrite || !from.hasToWrite) return
    const partner = this.#partner
    if (partner === undefined) {
      if (from.output.length > 0) {
        from.stop(EV.WRITE, BEV.ERROR, brokenPipe())
      } else {
        from.ended = true
        from.trigger(EV.WRITE)
      }
      return
    }
    const to = partner.#flow
    const mayMove = (): boolean =>
      from.mayWrite && (to.mayRead || (ignoresWatermark && (to.enabled & EV.READ) !== 0))
    if (!mayMove()) return
    let moved = 0
    // If a limit refills during this loop, it holds no direction and starts no timer: this loop moves the rest.
    while (mayMove()) {
      const most = Math.min(from.output.length, from.limit(EV.WRITE), to.limit(EV.READ))
      const room = to.readHigh === 0 || ignoresWatermark ? most : to.readHigh - to.input.length
      const count = Math.min(most, room)
      if (count <= 0) break
      from.output.moveTo(to.input, count)
      from.countSent(count)
      to.countReceived(count)
      moved += count
    }
    if (moved > 0) {
      partner.adjustTimeouts()
      this.#writeTimer?.del()
      this.#adjustWriteTimeout()
      to.trigger(EV.READ)
      from.trigger(EV.WRITE)
    }
    if (from.output.length === 0 && from.ending && !from.ended) {
      from.ended = true
      to.stop(EV.READ, BEV.EOF)
      if (moved === 0) from.trigger(EV.WRITE)
    }
  }

  #adjustWriteTimeout(): void {
    const flow = this.#flow
    if (flow.writeTimeout !== undefined && flow.mayWrite && flow.output.length > 0) {
      this.#writeTimer ??= this.#timer(EV.WRITE)
      if (this.#writeTimer.pending() === 0) this.#writeTimer.add(flow.writeTimeout)
    } else {
      this.#writeTimer?.del()
    }
  }

  #timer(direction: Direction): Event {
    const { base, callbacks } = this.#flow
    return base.newTimer(() => callbacks.enter(() => this.#flow.stop(direction, BEV.TIMEOUT)))
  }
}
