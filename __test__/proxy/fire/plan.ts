/** The plan of a connection, which the seed and its number determine. */

/** Numbers below a bound, determined by the seed (Tommy Ettinger's Mulberry32). */
export function random(seed: number): (bound: number) => number {
  let state = seed >>> 0
  return (bound) => {
    state = (state + 0x6d2b_79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound)
  }
}

/** How a proxy treats its connections. */
export type Terms = 'plain' | 'limited' | 'idle'

/** When a peer leaves early. */
export interface Trigger {
  readonly of: 'sent' | 'received'
  readonly after: number
}

/**
 * How a peer leaves: it ends its stream after its last byte, immediately or after the end of the other stream; it closes
 * or resets the connection early; it stops sending without an end.
 */
export type Leave =
  | { readonly how: 'end' | 'end after the other' | 'fall silent' }
  | ({ readonly how: 'close' | 'reset' } & Trigger)

/** The part of one of the two peers. */
export interface Part {
  /** The number of bytes that it sends. */
  readonly size: number
  /** Their offset in the pool of bytes. */
  readonly offset: number
  /** The most bytes of one read or write. */
  readonly piece: number
  /** A pause of some milliseconds after that number of bytes sent and received. */
  readonly stall: { readonly after: number; readonly for: number } | undefined
  readonly leave: Leave
}

/** The plan of a connection. */
export interface Plan {
  readonly number: number
  readonly terms: Terms
  readonly client: Part
  readonly server: Part
}

/** The longest stream. */
const LARGEST = 2 << 20
/** The longest stream under a limit or an idle timeout. */
const LARGEST_SLOW = 96 << 10
/** The size of the pool, in bytes. */
export const POOL: number = 2 * LARGEST

function sizeOf(below: (bound: number) => number): number {
  const kind = below(1000)
  if (kind < 200) return 0
  if (kind < 700) return below(4 << 10)
  if (kind < 950) return below(64 << 10)
  return below(kind < 995 ? 512 << 10 : LARGEST)
}

function partOf(below: (bound: number) => number, size: number, other: number): Part {
  const piece = [1 + below(100), 1000 + below(20_000), 65_536][below(3)] ?? 1
  const stall = below(100) < 15 ? { after: below(size + other + 1), for: 1 + below(20) } : undefined
  const of = below(2) === 0 ? 'sent' : 'received'
  const trigger = { of, after: below((of === 'sent' ? size : other) + 1) } as const
  const kind = below(100)
  const leave: Leave =
    kind < 60
      ? { how: 'end' }
      : kind < 75
        ? { how: 'end after the other' }
        : { how: kind < 87 ? 'close' : 'reset', ...trigger }
  // Tiny pieces of a long stream would take too long.
  const fair = Math.min(65_536, Math.max(piece, Math.ceil(size / 100), Math.ceil(other / 100)))
  return { size, offset: below(POOL - size), piece: fair, stall, leave }
}

/** How the connection with this number is treated in a round. */
export function termsOf(number: number): Terms {
  const each = ['plain', 'plain', 'plain', 'plain', 'plain', 'limited', 'limited', 'idle'] as const
  return each[number % each.length] ?? 'plain'
}

/** The plan of the connection with this number. */
export function planOf(seed: number, number: number, terms: Terms): Plan {
  const below = random(seed * 0x9e37_79b1 + number * 0x85eb_ca6b)
  const most = terms === 'plain' ? LARGEST : LARGEST_SLOW
  const [up, down] = [Math.min(sizeOf(below), most), Math.min(sizeOf(below), most)]
  let [client, server] = [partOf(below, up, down), partOf(below, down, up)]
  // Two peers that wait for each other would never end.
  if (client.leave.how === 'end after the other' && server.leave.how === 'end after the other')
    server = { ...server, leave: { how: 'end' } }
  // Only an idle timeout ends a silent connection.
  if (terms === 'idle' && below(100) < 30) {
    client = { ...client, leave: { how: 'fall silent' } }
    server = { ...server, leave: { how: 'fall silent' } }
  }
  return { number, terms, client, server }
}

/** The plan with a pause of up to some milliseconds in one of its parts: an idle connection, or a slow reader. */
export function withPause(plan: Plan, below: (bound: number) => number, most: number): Plan {
  const side = below(2) === 0 ? 'client' : 'server'
  const moved = plan.client.size + plan.server.size
  return { ...plan, [side]: { ...plan[side], stall: { after: below(moved + 1), for: 1 + below(most) } } }
}
