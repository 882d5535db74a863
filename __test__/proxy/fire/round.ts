/** A round of connections through proxies, each judged by the records of its two ends. */

import { EV, EventBase } from '../../../index.js'
import { socket, type InternetAddress } from '../../../net.js'
import { Peer } from './peer.js'
import { planOf, POOL, random, type Part, type Plan, type Terms } from './plan.js'

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

/** Both ends of a connection. There is no server end if the client left before it sent its number. */
interface Both {
  readonly plan: Plan
  readonly client: Peer
  server?: Peer
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

/** The servers of a round: a listener, and a peer for each connection that sends its number. */
class Servers {
  readonly listener: number = socket.listen({ host: HOST, port: 0 })
  readonly #base: EventBase
  readonly #connections: ReadonlyMap<number, Both>
  #open = 0

  constructor(base: EventBase, connections: ReadonlyMap<number, Both>) {
    this.#base = base
    this.#connections = connections
    base.newEvent(this.listener, EV.READ | EV.PERSIST, () => this.accept()).add()
  }

  get port(): number {
    return (socket.address(this.listener) as InternetAddress).port
  }

  /** The number of open connections. */
  get open(): number {
    return this.#open
  }

  accept(): void {
    for (let fd = socket.accept(this.listener); fd >= 0; fd = socket.accept(this.listener)) this.#greet(fd)
  }

  #greet(fd: number): void {
    this.#open += 1
    const head = Buffer.alloc(4)
    let length = 0
    const event = this.#base.newEvent(fd, EV.READ | EV.PERSIST, () => {
      const count = readOrEnd(fd, head, length)
      if (count < 0) return
      length += count
      if (count > 0 && length < head.length) return
      event.close()
      const both = this.#connections.get(head.readUInt32LE())
      if (count === 0 || both === undefined) {
        socket.close(fd)
        this.#open -= 1
        return
      }
      const { plan } = both
      const streams = { body: bytesOf(plan.server), incoming: bytesOf(plan.client) }
      both.server = new Peer(this.#base, fd, streams, plan.server, () => (this.#open -= 1))
    })
    event.add()
  }
}

function readOrEnd(fd: number, buffer: Buffer, offset: number): number {
  try {
    return socket.read(fd, buffer, offset)
  } catch {
    return 0
  }
}

/** Compares what one peer sent with what the other received. */
function judge(plan: Plan, part: Part, from: Peer, head: number, to: Peer): string | undefined {
  if (to.wrong !== undefined) return to.wrong
  const sent = from.sent - head
  if (to.received > Math.max(0, sent)) return 'more bytes arrived than were sent'
  // An idle timeout closes both ends at any position.
  if (plan.terms === 'idle' || to.incoming !== 'end') return undefined
  if (to.received < sent) return `the stream of ${sent} bytes ends in order after ${to.received}`
  if (from.outgoing === 'reset') return 'a reset was received as an end'
  if (from.outgoing === 'end' && sent < part.size) return 'it ended before it had sent everything'
  return undefined
}

const isInOrder = ({ leave }: Part): boolean => leave.how.startsWith('end')

/** The fault of a connection, if it has one. */
function verdict({ plan, client, server }: Both): string | undefined {
  const { terms } = plan
  const inOrder = isInOrder(plan.client) && isInOrder(plan.server) && terms !== 'idle'
  if (server === undefined) return inOrder || client.received > 0 ? 'it did not reach the server' : undefined
  const ends = [client.incoming, client.outgoing, server.incoming, server.outgoing]
  if (inOrder && ends.some((end) => end !== 'end')) return 'it does not end as planned'
  return judge(plan, plan.client, client, 4, server) ?? judge(plan, plan.server, server, 0, client)
}

/** Opens connections through the proxies that `start` makes, one for each kind of terms, in front of one port. */
export async function round(
  seed: number,
  count: number,
  start: (terms: Terms, upstream: number) => Promise<number>,
): Promise<Tally> {
  const base = new EventBase()
  const connections = new Map<number, Both>()
  const servers = new Servers(base, connections)
  const ports = {
    plain: await start('plain', servers.port),
    limited: await start('limited', servers.port),
    idle: await start('idle', servers.port),
  }
  let giveUp = performance.now() + PATIENCE
  let begun = 0
  let over = 0
  const next = (): void => {
    if (begun === count) return
    const plan = planOf(seed, begun)
    begun += 1
    const fd = socket.connect({ host: HOST, port: ports[plan.terms] })
    const head = headOf(plan.number)
    const streams = { head, body: bytesOf(plan.client), incoming: bytesOf(plan.server) }
    const client = new Peer(base, fd, streams, plan.client, () => {
      over += 1
      giveUp = performance.now() + PATIENCE
      next()
    })
    connections.set(plan.number, { plan, client })
  }
  for (let lane = 0; lane < LANES; lane += 1) next()
  await new Promise<void>((resolve) => {
    const ticks = base.newTimer(
      () => {
        if ((over < count || servers.open > 0) && performance.now() < giveUp) return
        ticks.close()
        resolve()
      },
      { persist: true },
    )
    ticks.add(5)
    void base.run()
  })
  socket.close(servers.listener)
  base.close()

  const failures: string[] = []
  let [bytes, ended, broken] = [0, 0, 0]
  for (const both of connections.values()) {
    const { plan, client, server } = both
    bytes += client.received + (server?.received ?? 0)
    if (client.incoming === 'end' && server?.incoming === 'end') ended += 1
    else broken += 1
    const hangs = !client.done || server?.done === false
    const what = hangs ? 'it hangs' : verdict(both)
    if (what === undefined) continue
    const details = `client: ${String(client)}\n  server: ${String(server)}\n  ${JSON.stringify(plan)}`
    failures.push(`connection ${plan.number}: ${what}\n  ${details}`)
  }
  return { bytes, ended, broken, failures }
}
