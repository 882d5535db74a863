/** Connections through proxies, each judged by the records of its two ends. */

import { EV, EventBase, type Event } from '../../../index.js'
import { socket, type InternetAddress, type ListenTarget, type Target } from '../../../net.js'
import { Peer } from './peer.js'
import { planOf, POOL, random, termsOf, type Part, type Plan, type Terms } from './plan.js'

const HOST = '127.0.0.1'

/** The number of concurrent connections. */
const LANES = 48

/** Milliseconds without the end of a connection. Only a connection that hangs uses all of them. */
const PATIENCE = 50_000

/** The result of a round. */
export interface Tally {
  /** Received bytes. */
  readonly bytes: number
  /** Connections whose both directions ended in order, and all others. */
  readonly ended: number
  readonly broken: number
  /** Faults, by connection. */
  readonly failures: readonly string[]
}

/** What the judge of a connection has to know about the proxy. */
export interface Conditions {
  /** Whether the proxy or its servers may fail, or end a connection, at any time. */
  readonly disturbed?: boolean | undefined
  /** How a stream that was cut ends for its receiver. By default with a reset; unix sockets have none. */
  readonly cut?: 'end' | undefined
}

/** Both ends of a connection. There is no server end if the client left before it sent its number. */
interface Both {
  readonly plan: Plan
  readonly conditions: Conditions
  readonly client: Peer
  server?: Peer
  readonly onJudged: (ended: boolean) => void
}

const pool = ((): Buffer => {
  const below = random(1)
  const bytes = Buffer.alloc(POOL)
  for (let at = 0; at < POOL; at += 4) bytes.writeUInt32LE(below(2 ** 32), at)
  return bytes
})()

function bytesOf({ offset, size }: Part): Buffer {
  return pool.subarray(offset, offset + size)
}

/** The first bytes of a client's stream: its number. */
function headOf(number: number): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt32LE(number)
  return head
}

/** The failure of a connection whose client received an error and nothing else, because no server was connected. */
export const UNSERVED = 'it did not reach the server'

/** Clients and servers of connections through proxies. */
export class Traffic {
  readonly #base: EventBase
  /** The connections that are not judged yet. */
  readonly #connections = new Map<number, Both>()
  readonly #listeners = new Map<number, Event>()
  /** The number of clients, and of server ends, that are open. */
  #clients = 0
  #servers = 0
  #lastEnd = performance.now()
  #bytes = 0
  #ended = 0
  #broken = 0
  #failures: string[] = []
  #empty = 0

  /** @param base the base of all events */
  constructor(base: EventBase) {
    this.#base = base
  }

  /** Starts a listener that gives each connection its server end. Returns its descriptor. */
  serve(target: ListenTarget): number {
    const listener = socket.listen(target)
    const accept = (): void => {
      for (let fd = socket.accept(listener); fd >= 0; fd = socket.accept(listener)) this.#greet(fd)
    }
    this.#listeners.set(listener, this.#base.newEvent(listener, EV.READ | EV.PERSIST, accept).add())
    return listener
  }

  /** Closes a listener. */
  close(listener: number): void {
    this.#listeners.get(listener)?.close()
    this.#listeners.delete(listener)
    socket.close(listener)
  }

  /**
   * Opens a connection, whose plan has a number of its own.
   *
   * @param target the proxy
   * @param plan the parts of its two ends
   * @param conditions whether the proxy or the server may fail in between
   * @param onOver called once the client has left, with whether it has received anything
   * @param onJudged called at the end, with whether both directions ended in order
   * @throws {SystemError} what connecting throws
   */
  open(
    target: Target,
    plan: Plan,
    conditions: Conditions,
    onOver: (answered: boolean) => void,
    onJudged: (ended: boolean) => void = () => {},
  ): void {
    const fd = socket.connect(target)
    const streams = { head: headOf(plan.number), body: bytesOf(plan.client), incoming: bytesOf(plan.server) }
    this.#clients += 1
    const client: Peer = new Peer(this.#base, fd, streams, plan.client, () => {
      this.#clients -= 1
      this.#lastEnd = performance.now()
      this.#judgeIfOver(both)
      onOver(client.incoming === 'end' || client.received > 0)
    })
    const both: Both = { plan, conditions, client, onJudged }
    this.#connections.set(plan.number, both)
  }

  /** Waits until every connection has ended, or none has for a long time. Then judges all that are left. */
  async settle(): Promise<void> {
    this.#lastEnd = performance.now()
    await new Promise<void>((resolve) => {
      const ticks = this.#base.newTimer(
        () => {
          const isOpen = this.#clients > 0 || this.#servers > 0
          if (isOpen && performance.now() < this.#lastEnd + PATIENCE) return
          ticks.close()
          resolve()
        },
        { persist: true },
      )
      ticks.add(5)
    })
    for (const both of this.#connections.values()) this.#judge(both)
  }

  /** The results of the connections that are judged. */
  get tally(): Tally {
    return { bytes: this.#bytes, ended: this.#ended, broken: this.#broken, failures: this.#failures }
  }

  /** The number of connections to a server whose stream ended in order before it had a byte. */
  get empty(): number {
    return this.#empty
  }

  #greet(fd: number): void {
    this.#servers += 1
    const head = Buffer.alloc(4)
    let length = 0
    const event = this.#base.newEvent(fd, EV.READ | EV.PERSIST, () => {
      const count = readOrFailure(fd, head, length)
      if (count === -1) return
      if (count > 0) length += count
      if (count > 0 && length < head.length) return
      event.close()
      const both = this.#connections.get(head.readUInt32LE())
      if (count <= 0 || both === undefined) {
        if (count === 0 && length === 0) this.#empty += 1
        socket.close(fd)
        this.#servers -= 1
        return
      }
      const { plan } = both
      const streams = { body: bytesOf(plan.server), incoming: bytesOf(plan.client) }
      both.server = new Peer(this.#base, fd, streams, plan.server, () => {
        this.#servers -= 1
        this.#lastEnd = performance.now()
        this.#judgeIfOver(both)
      })
    })
    event.add()
  }

  /** A server end may still come for a client that has left. */
  #judgeIfOver(both: Both): void {
    if (both.client.done && both.server?.done === true) this.#judge(both)
  }

  #judge(both: Both): void {
    const { plan, client, server } = both
    this.#connections.delete(plan.number)
    this.#bytes += client.received + (server?.received ?? 0)
    const ended = client.incoming === 'end' && server?.incoming === 'end'
    if (ended) this.#ended += 1
    else this.#broken += 1
    both.onJudged(ended)
    const hangs = !client.done || server?.done === false
    const what = hangs ? 'it hangs' : verdict(both)
    if (what === undefined) return
    const details = `client: ${String(client)}\n  server: ${String(server)}\n  ${JSON.stringify(plan)}`
    this.#failures.push(`connection ${plan.number}: ${what}\n  ${details}`)
  }
}

/** The number of read bytes, -1 if none has arrived, or -2 if the connection has failed. */
function readOrFailure(fd: number, buffer: Buffer, offset: number): number {
  try {
    return socket.read(fd, buffer, offset)
  } catch {
    return -2
  }
}

/** Compares what one peer sent with what the other received. */
function judge(both: Both, part: Part, from: Peer, head: number, to: Peer): string | undefined {
  const { plan, conditions } = both
  if (to.wrong !== undefined) return to.wrong
  const sent = from.sent - head
  if (to.received > Math.max(0, sent)) return 'more bytes arrived than were sent'
  // An idle timeout closes both ends at any position.
  if (plan.terms === 'idle' || to.incoming !== 'end') return undefined
  const mustBeWhole = conditions.disturbed !== true && from.outgoing === 'end' && isInOrder(part)
  if (conditions.cut === 'end' && !mustBeWhole) return undefined
  if (to.received < sent) return `the stream of ${sent} bytes ends in order after ${to.received}`
  if (from.outgoing === 'reset') return 'a reset was received as an end'
  if (from.outgoing === 'end' && sent < part.size) return 'it ended before it had sent everything'
  return undefined
}

const isInOrder = ({ leave }: Part): boolean => leave.how.startsWith('end')

/** The fault of a connection, if it has one. */
function verdict(both: Both): string | undefined {
  const { plan, conditions, client, server } = both
  const areInOrder = isInOrder(plan.client) && isInOrder(plan.server)
  const inOrder = areInOrder && plan.terms !== 'idle' && conditions.disturbed !== true
  if (server === undefined) {
    if (client.received > 0) return 'bytes arrived that no server has sent'
    if (client.incoming === 'end' && conditions.cut !== 'end') return 'it ends in order, and has no server'
    return inOrder ? UNSERVED : undefined
  }
  const ends = [client.incoming, client.outgoing, server.incoming, server.outgoing]
  if (inOrder && ends.some((end) => end !== 'end')) return 'it does not end as planned'
  return judge(both, plan.client, client, 4, server) ?? judge(both, plan.server, server, 0, client)
}

/** Opens connections through the proxies that `start` makes, one for each kind of terms, in front of one port. */
export async function round(
  seed: number,
  count: number,
  start: (terms: Terms, upstream: number) => Promise<number>,
): Promise<Tally> {
  const base = new EventBase()
  const traffic = new Traffic(base)
  const listener = traffic.serve({ host: HOST, port: 0 })
  const upstream = (socket.address(listener) as InternetAddress).port
  const ports = {
    plain: await start('plain', upstream),
    limited: await start('limited', upstream),
    idle: await start('idle', upstream),
  }
  let begun = 0
  const next = (): void => {
    if (begun === count) return
    const plan = planOf(seed, begun, termsOf(begun))
    begun += 1
    traffic.open({ host: HOST, port: ports[plan.terms] }, plan, {}, next)
  }
  for (let lane = 0; lane < LANES; lane += 1) next()
  const settled = traffic.settle()
  void base.run()
  await settled
  traffic.close(listener)
  base.close()
  return traffic.tally
}
