/** A round of connections through proxies, each judged by what its two ends saw. */

import { EV, EventBase } from '../../../index.js'
import { socket, type InternetAddress } from '../../../net.js'
import { Peer } from './peer.js'
import { planOf, POOL, random, type Part, type Plan, type Terms } from './plan.js'

const HOST = '127.0.0.1'

/** How many connections there are at a time. */
const LANES = 48

/** Milliseconds without a connection that ends. Long, since the machine may have other things to do: only what hangs gets there. */
const PATIENCE = 50_000

/** What a round came to. */
export interface Tally {
  /** Bytes that arrived. */
  readonly bytes: number
  /** Connections that both ended in order, and all the others. */
  readonly ended: number
  readonly broken: number
  /** What must not happen, by connection. */
  readonly failures: readonly string[]
}

/** Both ends of a connection. The server's is not there where the client left before it said its number. */
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

/** A client's stream begins with its number. */
function numbered(number: number, bytes: Buffer): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt32LE(number)
  return Buffer.concat([head, bytes])
}

/** The servers of a round: a door, and a peer for each connection that says its number. */
class Servers {
  readonly door: number = socket.listen({ host: HOST, port: 0 })
  readonly #base: EventBase
  readonly #connections: ReadonlyMap<number, Both>
  #open = 0

  constructor(base: EventBase, connections: ReadonlyMap<number, Both>) {
    this.#base = base
    this.#connections = connections
    base.newEvent(this.door, EV.READ | EV.PERSIST, () => this.accept()).add()
  }

  get port(): number {
    return (socket.address(this.door) as InternetAddress).port
  }

  /** How many connections are under way. */
  get open(): number {
    return this.#open
  }

  accept(): void {
    for (let fd = socket.accept(this.door); fd >= 0; fd = socket.accept(this.door)) this.#greet(fd)
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
      const incoming = bytesOf(plan.client)
      both.server = new Peer(
        this.#base,
        fd,
        bytesOf(plan.server),
        incoming,
        plan.server,
        () => (this.#open -= 1),
      )
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

/** Whether what one peer said is what the other heard. */
function judge(plan: Plan, part: Part, from: Peer, head: number, to: Peer): string | undefined {
  if (to.wrong !== undefined) return to.wrong
  const sent = from.sent - head
  if (to.received > Math.max(0, sent)) return 'more came than was sent'
  // Who is idle is let go: both ends are closed, wherever they are.
  if (plan.terms === 'idle' || to.heard !== 'end') return undefined
  if (to.received < sent) return `the stream of ${sent} bytes ends in order after ${to.received}`
  if (from.said === 'reset') return 'a reset is heard as an end'
  if (from.said === 'end' && sent < part.size) return 'it ended before it had said everything'
  return undefined
}

const isInOrder = ({ leave }: Part): boolean => leave.how.startsWith('end')

/** What is wrong with a connection; nothing where all is well. */
function verdict({ plan, client, server }: Both): string | undefined {
  const { terms } = plan
  const inOrder = isInOrder(plan.client) && isInOrder(plan.server) && terms !== 'idle'
  if (server === undefined) return inOrder || client.received > 0 ? 'the server never heard of it' : undefined
  const ends = [client.heard, client.said, server.heard, server.said]
  if (inOrder && ends.some((end) => end !== 'end')) return 'it does not end as planned'
  return judge(plan, plan.client, client, 4, server) ?? judge(plan, plan.server, server, 0, client)
}

/** Sends connections through proxies in front of one port, started by `start` for each kind of terms. */
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
    const out = numbered(plan.number, bytesOf(plan.client))
    const client = new Peer(base, fd, out, bytesOf(plan.server), plan.client, () => {
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
  socket.close(servers.door)
  base.close()

  const failures: string[] = []
  let [bytes, ended, broken] = [0, 0, 0]
  for (const both of connections.values()) {
    const { plan, client, server } = both
    bytes += client.received + (server?.received ?? 0)
    if (client.heard === 'end' && server?.heard === 'end') ended += 1
    else broken += 1
    const hangs = !client.done || server?.done === false
    const what = hangs ? 'it hangs' : verdict(both)
    if (what === undefined) continue
    const told = `client: ${String(client)}\n  server: ${String(server)}\n  ${JSON.stringify(plan)}`
    failures.push(`connection ${plan.number}: ${what}\n  ${told}`)
  }
  return { bytes, ended, broken, failures }
}
