/** The transport of a buffer event on a descriptor. */

import { constants } from 'node:os'

import { EV } from '../../constants.js'
import type { Event } from '../../event.js'
import { EventBase } from '../../event-base.js'
import { crossing, native, type NativeAddress } from '../../native.js'
import { at, withAddress } from '../address.js'
import type { Local } from '../local.js'
import { timedOut } from '../lookup.js'
import { BEV } from './bits.js'
import { ByteQueue } from './byte-queue.js'
import type { Channel } from './channel.js'
import type { Direction, Flow } from './flow.js'
import { connectFailure, endOfDescriptor } from './failures.js'
import { NOTHING, receive } from './receive.js'

/** The number of chunks that one call writes. */
const MOST_CHUNKS = 64

/** Reads and writes a descriptor when it is ready. */
export class SocketChannel implements Channel {
  readonly #flow: Flow
  readonly #priority: () => number
  /** Whether the descriptor is closed with the stream, and therefore at the end of the environment. */
  readonly #isOwner: boolean
  #fd = -1
  #readable: Event | undefined
  #writable: Event | undefined
  #reading = false
  /** Whether the events were not dispatched since they were added: the system may have refused them. */
  #isReadFresh = false
  #isWriteFresh = false
  /** Whether the event for writing is pending. */
  #waiting = false
  #connecting: NativeAddress | undefined
  /** Cancels the look-up in progress. */
  #lookUp: AbortController | undefined
  #deadline: Event | undefined

  constructor(flow: Flow, isOwner: boolean, priority: () => number) {
    this.#flow = flow
    this.#isOwner = isOwner
    this.#priority = priority
  }

  get fd(): number {
    return this.#fd
  }

  get connecting(): boolean {
    return this.#connecting !== undefined
  }

  /** Uses another descriptor, or none. The previous descriptor stays open. */
  open(fd: number): void {
    this.#forget()
    this.#replace(fd)
    if (fd < 0) return
    const flow = this.#flow
    this.#startReading()
    if (flow.mayWrite && flow.hasToWrite) this.kick()
  }

  /** Starts to connect. The result is reported by `onEvent`. */
  connect(target: NativeAddress, timeout: number | undefined, local: Local | undefined): void {
    this.#forget()
    this.#replace(at(target, () => native.socketConnect(target.hostOrPath, target.port, local)))
    this.#connecting = target
    try {
      this.#wait()
    } catch (error) {
      native.socketClose(this.#release())
      throw error
    }
    if (timeout === undefined) return
    const expire = (): void => this.#flow.callbacks.enter(() => this.#onDeadline(target))
    this.#deadline = this.#flow.base.newTimer(expire, { priority: this.#priority() }).add(timeout)
  }

  /** Connects by an asynchronous function, which can look up names. The result is reported by `onEvent` in the loop. */
  connectBy(target: NativeAddress, attempt: (signal: AbortSignal) => Promise<number>): void {
    this.#forget()
    const lookUp = new AbortController()
    this.#lookUp = lookUp
    this.#connecting = target
    void this.#await(attempt(lookUp.signal), lookUp.signal)
  }

  async #await(attempt: Promise<number>, signal: AbortSignal): Promise<void> {
    let fd: number
    try {
      fd = await attempt
    } catch (error) {
      if (!signal.aborted) this.#failed(error as Error, true)
      return
    }
    if (signal.aborted) {
      native.socketClose(fd)
      return
    }
    this.#connecting = undefined
    this.#lookUp = undefined
    this.#replace(fd)
    this.#startUsing(true)
  }

  setReading(on: boolean): void {
    const reading = on && this.#fd >= 0 && this.#connecting === undefined
    if (reading === this.#reading) return
    if (reading) {
      this.#readable ??= this.#event(EV.READ, (what) => this.#onReadable(what))
      this.#readable.add(this.#flow.readTimeout)
      this.#isReadFresh = true
    } else {
      this.#readable?.del()
    }
    this.#reading = reading
  }

  kick(): void {
    if (this.#fd < 0 || this.#connecting !== undefined) return
    if (!this.#flow.mayWrite) this.#stopWaiting()
    else if (!this.#waiting) this.#flow.callbacks.wantFlush()
  }

  adjustTimeouts(): void {
    if (this.#reading) adjust(this.#readable, this.#flow.readTimeout)
    if (this.#waiting) adjust(this.#writable, this.#flow.writeTimeout)
  }

  close(): void {
    const fd = this.#release()
    if (this.#isOwner && fd >= 0) native.socketClose(fd)
  }

  flush(what: number): void {
    if ((what & EV.WRITE) !== 0 && this.#flow.hasToWrite) this.write()
  }

  /** Writes as much as the descriptor accepts, and waits if bytes are left. */
  write(): void {
    const flow = this.#flow
    if (this.#fd < 0 || this.#connecting !== undefined || !flow.mayWrite) return
    const had = flow.output.length
    let sent = 0
    if (had > 0) {
      const most = flow.allowance(EV.WRITE)
      if (most === 0 || !flow.mayWrite) return
      try {
        sent = this.#sendAll(most)
      } catch (error) {
        this.#stopWaiting()
        flow.stop(EV.WRITE, BEV.ERROR, error as Error)
        return
      }
    }
    if (flow.output.length === 0) {
      this.#stopWaiting()
      if (flow.ending && !flow.ended) this.#end()
    } else if (flow.mayWrite) {
      this.#wait()
    }
    if (sent > 0 || had === 0) flow.trigger(EV.WRITE)
  }

  /** Writes until the descriptor accepts only a part, and removes the written bytes from the output. */
  #sendAll(most: number): number {
    const { output } = this.#flow
    let sent = 0
    while (output.length > 0 && sent < most && this.#flow.mayWrite) {
      const chunks = ByteQueue.front(output, MOST_CHUNKS)
      const count = this.#send(chunks, most - sent)
      if (count > 0) {
        sent += count
        output.drain(count)
        this.#flow.countSent(count)
      }
      // If the call took the whole output, a further call would not write more.
      if (count <= 0 || chunks.length < MOST_CHUNKS) break
    }
    return sent
  }

  #send(chunks: Buffer[], most: number): number {
    const [first] = chunks as [Buffer]
    if (first.length >= most || chunks.length === 1) {
      return crossing.socketWrite(this.#fd, first, 0, Math.min(first.length, most))
    }
    return crossing.socketWriteMany(this.#fd, chunks, most)
  }

  #end(): void {
    this.#flow.ended = true
    try {
      endOfDescriptor(this.#fd)
      if (this.#isOwner) crossing.ownDescriptor(this.#handle, this.#fd, true)
    } catch (error) {
      this.#flow.stop(EV.WRITE, BEV.ERROR, error as Error)
    }
  }

  #onReadable(what: number): void {
    const flow = this.#flow
    if (what === EV.TIMEOUT) {
      flow.stop(EV.READ, BEV.TIMEOUT)
      return
    }
    const most = flow.allowance(EV.READ)
    if (most === 0 || !flow.mayRead) return
    let chunk
    try {
      chunk = receive(this.#fd, most)
    } catch (error) {
      flow.stop(EV.READ, BEV.ERROR, error as Error)
      return
    }
    if (chunk === NOTHING || this.#isReadFresh) {
      this.#isReadFresh = false
      this.#confirm(this.#readable, EV.READ, flow.readTimeout)
    }
    if (chunk === NOTHING) return
    if (chunk.length === 0) flow.stop(EV.READ, BEV.EOF)
    else flow.received(chunk)
  }

  #onWritable(what: number): void {
    if (what === EV.TIMEOUT) {
      // A connect in progress continues.
      if (this.#connecting === undefined) this.#stopWaiting()
      else this.#writable?.removeTimer()
      this.#flow.stop(EV.WRITE, BEV.TIMEOUT)
    } else if (this.#connecting === undefined) {
      const { bytesWritten } = this.#flow
      this.write()
      if (this.#waiting && (this.#isWriteFresh || this.#flow.bytesWritten === bytesWritten)) {
        this.#isWriteFresh = false
        this.#confirm(this.#writable, EV.WRITE, this.#flow.writeTimeout)
      }
    } else {
      this.#onConnectable()
    }
  }

  /**
   * Adds an event again that the engine has dropped: if the system refuses a registration when the loop polls, the engine
   * drops it and reports readiness. Adding it again returns the system's error.
   */
  #confirm(event: Event | undefined, direction: Direction, timeout: number | undefined): void {
    if (event === undefined || event.pending(direction) !== 0) return
    try {
      event.add(timeout)
    } catch (error) {
      this.#flow.stop(direction, BEV.ERROR, error as Error)
    }
  }

  /** The deadline of the connect has expired. The connection may be established and not reported yet. */
  #onDeadline(target: NativeAddress): void {
    const errno = native.socketError(this.#fd)
    if (errno === constants.errno.EINPROGRESS) this.#connectFailed(timedOut(target))
    else this.#connectEnded(errno)
  }

  #onConnectable(): void {
    const errno = native.socketError(this.#fd)
    if (errno === constants.errno.EINPROGRESS) this.#waitAgain()
    else this.#connectEnded(errno)
  }

  /**
   * Waits again for a connect in progress: the system refused the registration when the loop polled, and the loop
   * reported that as readiness.
   */
  #waitAgain(): void {
    this.#waiting = false
    try {
      this.#wait()
    } catch (error) {
      this.#connectFailed(error as Error)
    }
  }

  #connectEnded(errno: number): void {
    if (errno !== 0) {
      this.#connectFailed(connectFailure(errno))
      return
    }
    this.#connecting = undefined
    this.#deadline?.close()
    this.#stopWaiting()
    this.#startUsing(false)
  }

  /** Starts to use a connection, and reports it. */
  #startUsing(defer: boolean): void {
    const flow = this.#flow
    this.#startReading()
    if (flow.mayWrite && flow.hasToWrite) flow.callbacks.wantFlush()
    flow.callbacks.notifyEvent(BEV.CONNECTED, undefined, defer)
  }

  /** Reads if that is enabled; a failure is reported by the callback for events, in the loop. */
  #startReading(): void {
    const flow = this.#flow
    try {
      this.setReading(flow.mayRead)
    } catch (error) {
      flow.stop(EV.READ, BEV.ERROR, error as Error, true)
    }
  }

  #connectFailed(error: Error): void {
    const target = this.#connecting as NativeAddress
    native.socketClose(this.#release())
    this.#failed(withAddress(error, target) as Error, false)
  }

  #failed(error: Error, defer: boolean): void {
    this.#forget()
    this.#flow.error = error
    this.#flow.callbacks.notifyEvent(BEV.ERROR, error, defer)
  }

  #wait(): void {
    if (this.#waiting) return
    this.#writable ??= this.#event(EV.WRITE, (what) => this.#onWritable(what))
    this.#writable.add(this.#flow.writeTimeout)
    this.#isWriteFresh = true
    this.#waiting = true
  }

  #stopWaiting(): void {
    if (!this.#waiting) return
    this.#waiting = false
    this.#writable?.del()
  }

  /** Sets the descriptor. The previous descriptor stays open. */
  #replace(fd: number): void {
    if (this.#isOwner) {
      if (this.#fd >= 0) crossing.disownDescriptor(this.#handle, this.#fd)
      if (fd >= 0) crossing.ownDescriptor(this.#handle, fd, false)
    }
    this.#fd = fd
  }

  /** The native handle of the base. */
  get #handle(): number {
    return EventBase.coreOf(this.#flow.base).handle
  }

  /** Stops using the descriptor, and returns it. */
  #release(): number {
    const fd = this.#fd
    this.#forget()
    this.#replace(-1)
    return fd
  }

  /** Drops the state that belongs to the descriptor. */
  #forget(): void {
    this.#lookUp?.abort()
    this.#lookUp = undefined
    this.#connecting = undefined
    this.#reading = false
    this.#waiting = false
    this.#readable?.close()
    this.#writable?.close()
    this.#deadline?.close()
    this.#readable = undefined
    this.#writable = undefined
    this.#deadline = undefined
  }

  #event(what: number, work: (what: number) => void): Event {
    const { base, callbacks } = this.#flow
    const callback = (_fd: number, result: number): void => callbacks.enter(() => work(result))
    return base.newEvent(this.#fd, what, callback, { persist: true, priority: this.#priority() })
  }
}

function adjust(event: Event | undefined, timeout: number | undefined): void {
  if (timeout === undefined) event?.removeTimer()
  else event?.add(timeout)
}
