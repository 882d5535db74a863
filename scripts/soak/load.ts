// The load of one subject: its clients and its upstreams.
import type { Event, EventBase } from '../../index.js'
import { EV } from '../../index.js'
import { DatagramBatch, socket, type InternetAddress, type Target } from '../../net.js'
import { planOf, random, withPause, type Plan } from '../../__test__/proxy/fire/plan.js'
import { Traffic } from '../../__test__/proxy/fire/round.js'
import { HOST, type Entrance } from './program.js'
import type { Running, Subject } from './subjects.js'

/** The number of concurrent connections of a subject. */
const LANES = 4
/** Milliseconds between two connections of a lane, at most. */
const MOST_REST = 60
/** Milliseconds after a connection that was refused. */
const REST_AFTER_REFUSAL = 100
/** One of this number of connections pauses, for at most that number of milliseconds. */
const PAUSES = { oneOf: 20, most: 4000 }
/**
 * The idle connections of each entrance, and the milliseconds for which they are idle, which is longer than every
 * measurement of the processor time takes together.
 */
const IDLE = { count: 4, for: 8000 }
/** Milliseconds that upstreams are up and down, at most. */
const UP_AND_DOWN = 2500

/** What the verdict needs to know about the traffic. */
export interface Moved {
  readonly connections: number
  readonly ended: number
  readonly bytes: number
  readonly failures: readonly string[]
}

/** A load that can be switched on and off. */
export interface Load {
  readonly moved: Moved
  setOn(on: boolean): void
  /** Opens connections that carry a few bytes and then are idle for a time. */
  openIdle(): void
  /** Waits for the end of everything in progress. */
  settle(): Promise<void>
}

/** Connections of random plans, some at the same time. */
export class ConnectionLoad implements Load {
  readonly #base: EventBase
  readonly #subject: Subject
  readonly #seed: number
  readonly #below: (bound: number) => number
  readonly #traffic: Traffic
  #upstreams: (Target & { fd: number })[] = []
  #entrances: readonly Entrance[] = []
  #number = 0
  #failures: string[] = []
  #isOn = false
  readonly #flapping: Event

  constructor(base: EventBase, subject: Subject, seed: number) {
    this.#base = base
    this.#subject = subject
    this.#seed = seed
    this.#below = random(seed)
    this.#traffic = new Traffic(base)
    const count = subject.upstreamsFail ? 2 : 1
    for (let index = 0; index < count; index += 1) this.#upstreams.push(this.#serve({ host: HOST, port: 0 }))
    this.#flapping = base.newTimer(() => this.#flap())
  }

  /** Where the upstreams listen. */
  get upstreams(): readonly Target[] {
    return this.#upstreams
  }

  get moved(): Moved {
    const { bytes, ended, failures } = this.#traffic.tally
    return { connections: this.#number, ended, bytes, failures: [...failures, ...this.#failures] }
  }

  /** Uses a process. */
  use({ entrances }: Running): this {
    this.#entrances = entrances
    return this
  }

  setOn(on: boolean): void {
    if (this.#isOn === on) return
    this.#isOn = on
    if (this.#subject.upstreamsFail) {
      if (on) this.#flapping.add(this.#below(UP_AND_DOWN))
      else {
        this.#flapping.del()
        this.#upstreams = this.#upstreams.map((one) => (one.fd < 0 ? this.#serve(one) : one))
      }
    }
    if (on) for (let lane = 0; lane < LANES; lane += 1) this.#next(this.#below(MOST_REST))
  }

  openIdle(): void {
    for (const entrance of this.#entrances.filter(({ terms }) => terms !== 'idle')) {
      for (let count = 0; count < IDLE.count; count += 1) {
        const part = { offset: 0, size: 1000, piece: 1000, stall: { after: 0, for: IDLE.for } }
        const [client, server] = [
          { ...part, leave: { how: 'end' } },
          { ...part, leave: { how: 'end' } },
        ] as const
        this.#open(entrance, { number: this.#take(), terms: entrance.terms, client, server }, () => {})
      }
    }
  }

  settle(): Promise<void> {
    return this.#traffic.settle()
  }

  close(): void {
    this.setOn(false)
    this.#flapping.close()
    for (const { fd } of this.#upstreams) if (fd >= 0) this.#traffic.close(fd)
  }

  #serve(target: Target): Target & { fd: number } {
    const fd = this.#traffic.serve(target)
    const { host, port } = socket.address(fd) as InternetAddress
    return { host, port, fd }
  }

  /** Takes one upstream down, or one up. */
  #flap(): void {
    const index = this.#below(this.#upstreams.length)
    const one = this.#upstreams[index]
    if (one === undefined) return
    if (one.fd < 0) this.#upstreams[index] = this.#serve(one)
    else {
      this.#traffic.close(one.fd)
      this.#upstreams[index] = { ...one, fd: -1 }
    }
    this.#flapping.add(this.#below(UP_AND_DOWN))
  }

  #take(): number {
    const number = this.#number
    this.#number += 1
    return number
  }

  #next(rest: number): void {
    const timer = this.#base.newTimer(() => {
      timer.close()
      if (!this.#isOn) return
      const number = this.#take()
      const entrance = this.#entrances[this.#below(this.#entrances.length)] as Entrance
      let plan = planOf(this.#seed, number, entrance.terms)
      if (this.#below(PAUSES.oneOf) === 0 && entrance.terms !== 'idle') {
        plan = withPause(plan, this.#below, PAUSES.most)
      }
      this.#open(entrance, plan, (answered) => {
        const isRefused = !answered && this.#subject.conditions.disturbed === true
        this.#next(isRefused ? REST_AFTER_REFUSAL : this.#below(MOST_REST))
      })
    })
    timer.add(rest)
  }

  #open({ target }: Entrance, plan: Plan, onOver: (answered: boolean) => void): void {
    try {
      this.#traffic.open(target, plan, this.#subject.conditions, onOver)
    } catch (error) {
      if (this.#subject.conditions.disturbed !== true)
        this.#failures.push(`connection ${plan.number}: ${(error as Error).message}`)
      onOver(false)
    }
  }
}

/** Milliseconds to wait for datagrams that were sent. */
const LOST_AFTER = 2000
/** The share of datagrams that may be lost, in percent: a full buffer drops some. */
const MAY_BE_LOST = 1
/** Bytes that identify a datagram. */
const HEAD = 8

/** Batches of datagrams, which come back. */
export class DatagramLoad implements Load {
  readonly #fd: number
  readonly #out = new DatagramBatch({ slots: 16 })
  readonly #in = new DatagramBatch({ slots: 32 })
  readonly #below: (bound: number) => number
  readonly #reading: Event
  readonly #late: Event
  readonly #rest: Event
  readonly #waiting = new Map<number, Buffer>()
  #sent = 0
  #back = 0
  #lost = 0
  #bytes = 0
  #failures: string[] = []
  #isOn = false
  #onIdle: () => void = () => {}

  constructor(base: EventBase, { entrances }: Running, seed: number) {
    const [entrance] = entrances
    this.#fd = socket.connectDatagram(entrance?.target as InternetAddress)
    this.#below = random(seed)
    this.#reading = base.newEvent(this.#fd, EV.READ | EV.PERSIST, () => this.#receive()).add()
    this.#late = base.newTimer(() => this.#giveUp())
    this.#rest = base.newTimer(() => this.#send())
  }

  get moved(): Moved {
    const isMuch = this.#lost * 100 > this.#sent * MAY_BE_LOST
    const failures = isMuch ? [`${this.#lost} of ${this.#sent} datagrams did not come back`] : []
    return {
      connections: this.#sent,
      ended: this.#back,
      bytes: this.#bytes,
      failures: [...failures, ...this.#failures],
    }
  }

  setOn(on: boolean): void {
    this.#isOn = on
    if (on && this.#waiting.size === 0) this.#send()
  }

  openIdle(): void {}

  settle(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting.size === 0) resolve()
      else this.#onIdle = resolve
    })
  }

  close(): void {
    for (const event of [this.#reading, this.#late, this.#rest]) event.close()
    socket.close(this.#fd)
  }

  #send(): void {
    if (!this.#isOn) return this.#onIdle()
    this.#out.clear()
    for (let count = 1 + this.#below(this.#out.slots); count > 0; count -= 1) {
      const bytes = Buffer.alloc(HEAD + this.#below(1400), this.#sent & 0xff)
      bytes.writeUInt32LE(this.#sent)
      this.#waiting.set(this.#sent, bytes)
      this.#sent += 1
      this.#out.add(bytes)
    }
    // The kernel accepts a batch of this size as a whole, or what it does not accept is lost.
    socket.sendMany(this.#fd, this.#out)
    this.#late.add(LOST_AFTER)
  }

  #receive(): void {
    for (let count = socket.receiveMany(this.#fd, this.#in); count > 0;) {
      for (let index = 0; index < count; index += 1) this.#judge(this.#in.bytes(index))
      count = socket.receiveMany(this.#fd, this.#in)
    }
  }

  #judge(bytes: Buffer): void {
    const number = bytes.length < HEAD ? -1 : bytes.readUInt32LE()
    const sent = this.#waiting.get(number)
    // One that comes back after it was given up counts as lost.
    if (sent === undefined && number >= 0 && number < this.#sent) return
    if (sent?.equals(bytes) !== true) this.#failures.push(`datagram ${number} came back with other bytes`)
    this.#waiting.delete(number)
    this.#back += 1
    this.#bytes += bytes.length
    if (this.#waiting.size > 0) return
    this.#late.del()
    this.#rest.add(this.#below(MOST_REST))
  }

  #giveUp(): void {
    this.#lost += this.#waiting.size
    this.#waiting.clear()
    this.#send()
  }
}
