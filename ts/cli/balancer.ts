/**
 * Which upstream a connection goes to: the policy of a forwarder, in TypeScript, by the rules of the native one.
 *
 * So many failed connects in a row take an upstream out for a time. Then one connection tries it, while all others
 * still pass it over; when that fails too, it is out for twice as long.
 */

import { upstreamName, type ProxyOptions, type Upstream } from '../net/proxy-options.js'

const FAILURES = 3
const BACKOFF = 1000
const MAX_BACKOFF = 30_000
/** Milliseconds between two tellings of an upstream's failures. */
const TELL_EVERY = 1000

/** An upstream and what became of the connections to it. */
export class Backend {
  readonly target: Upstream
  readonly name: string
  readonly weight: number
  /** Connections under way, those being made included. */
  open = 0
  connected = 0
  refused = 0
  failed = 0
  bytesUp = 0
  bytesDown = 0
  connectMs = 0
  longestConnectMs = 0
  #failuresInARow = 0
  #out: { backoff: number; until: number; probing: boolean } | undefined

  #untold = 0
  #told = -Infinity

  constructor(target: Upstream) {
    this.target = target
    this.name = upstreamName(target)
    this.weight = target.weight ?? 1
  }

  get state(): 'up' | 'down' | 'probing' {
    if (this.#out === undefined) return 'up'
    return this.#out.probing || this.retryAfter === 0 ? 'probing' : 'down'
  }

  /** Milliseconds until it is tried again. */
  get retryAfter(): number {
    return Math.max((this.#out?.until ?? 0) - performance.now(), 0)
  }

  /** Whether a connection may have it; one that is to find out whether it is back has it alone. */
  claim(): 'up' | 'probe' | undefined {
    if (this.#out === undefined) return 'up'
    if (this.#out.probing || this.retryAfter > 0) return undefined
    this.#out.probing = true
    return 'probe'
  }

  /** Counts a failed connect: how many there were since they were told last; 0 if they are not to be told now. */
  countFailure(): number {
    this.#untold += 1
    if (performance.now() < this.#told + TELL_EVERY) return 0
    this.#told = performance.now()
    const count = this.#untold
    this.#untold = 0
    return count
  }

  /** It took a connection: whether that brought it back. */
  succeed(): boolean {
    const wasOut = this.#out !== undefined
    this.#failuresInARow = 0
    this.#out = undefined
    return wasOut
  }

  /** It did not take a connection: for how long it is passed over, if that is why. */
  fail(isProbe: boolean): number | undefined {
    this.#failuresInARow += 1
    if (this.#out === undefined && this.#failuresInARow < FAILURES) return undefined
    // Connects from before, or made because nobody else was left, change nothing.
    if (this.#out !== undefined && !isProbe) return undefined
    const backoff = this.#out === undefined ? BACKOFF : Math.min(this.#out.backoff * 2, MAX_BACKOFF)
    this.#out = { backoff, until: performance.now() + backoff, probing: false }
    return backoff
  }

  /** The connection that was to find out came to nothing for a reason of its own. */
  abandon(): void {
    if (this.#out !== undefined) this.#out.probing = false
  }
}

/** Which upstream a connection goes to. */
export interface Choice {
  backend: Backend
  /** It is to find out whether the upstream is back. */
  isProbe: boolean
}

/** Gives each connection an upstream. */
export class Balancer {
  readonly backends: readonly Backend[]
  readonly #row: readonly Backend[]
  readonly #countsOpen: boolean
  #turn = 0

  constructor(upstreams: readonly Upstream[], balance: NonNullable<ProxyOptions['balance']>) {
    this.backends = upstreams.map((upstream) => new Backend(upstream))
    this.#countsOpen = balance === 'least-connections'
    // Turn k of an upstream of weight w is due when (k + 1/2)/w of the row is over.
    const turns = this.backends.flatMap((backend) =>
      Array.from({ length: backend.weight }, (_, turn) => ({ backend, due: (turn + 0.5) / backend.weight })),
    )
    this.#row = turns.toSorted((a, b) => a.due - b.due).map(({ backend }) => backend)
  }

  /** Whose turn it is among those not in `tried`: one that is up; where there is none, any. */
  pick(tried: ReadonlySet<Backend>): Choice | undefined {
    const start = this.#turn++ % this.#row.length
    let [any, best]: [Backend | undefined, Choice | undefined] = [undefined, undefined]
    for (let step = 0; step < this.#row.length; step++) {
      const backend = this.#row[(start + step) % this.#row.length]
      if (backend === undefined || tried.has(backend)) continue
      any ??= backend
      if (best !== undefined && backend.open * best.backend.weight >= best.backend.open * backend.weight)
        continue
      const claim = backend.claim()
      if (claim === undefined) continue
      best = { backend, isProbe: claim === 'probe' }
      // Whether it is back is found out at once, also where others have fewer.
      if (best.isProbe || !this.#countsOpen) return best
    }
    return best ?? (any && { backend: any, isProbe: false })
  }
}
