/** A TCP proxy on one base, with its policy in TypeScript: what `event-base proxy` runs without `--threads`. */

import { setMaxListeners } from 'node:events'

import type { EventBase } from '../event-base.js'
import { native } from '../native.js'
import { toPlace, type SocketAddress, type Target } from '../net/address.js'
import { connect } from '../net/connect.js'
import { listen, type InheritedListener, type Listener } from '../net/listener.js'
import { CONNECT_TIMEOUT, type ProxyOptions, type Upstream } from '../net/proxy-options.js'
import type { ProxyProblem } from '../net/proxy-problem.js'
import type { ProxyStats, UpstreamStats } from '../net/proxy.js'
import { RateGroup } from '../net/rate-group.js'
import { relay, type Relay, type RelayOptions } from '../net/relay.js'
import { address as addressOf, close } from '../net/socket.js'
import { Balancer, type Backend, type Choice } from './balancer.js'

/** How to forward: as for a threaded proxy. */
export type ForwarderOptions = Pick<
  ProxyOptions,
  'balance' | 'connectTimeout' | 'idleTimeout' | 'limit' | 'proxyProtocol' | 'totalLimit'
> & {
  listen: Target | InheritedListener
  upstream: Upstream | readonly Upstream[]
  /** Called with what went wrong; forwarding goes on. */
  onProblem: (problem: ProxyProblem) => void
}

/** The process has no descriptor or no memory left, so no other upstream would do better. */
const SHORTAGES: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'])

/** Accepts, chooses, connects, relays. */
export class Forwarder {
  readonly #base: EventBase
  readonly #options: ForwarderOptions
  readonly #relay: RelayOptions
  readonly #listener: Listener
  readonly #balancer: Balancer
  /** Relays under way, and how many bytes this proxy put ahead of the client's. */
  readonly #relays: Map<Relay, { backend: Backend; ahead: number }> = new Map()
  readonly #giveUp: AbortController = new AbortController()
  #accepted = 0
  #refused = 0
  #connecting = 0

  constructor(base: EventBase, options: ForwarderOptions) {
    const { onProblem, upstream, idleTimeout, limit, totalLimit, balance = 'round-robin' } = options
    this.#base = base
    this.#options = options
    const group = totalLimit && new RateGroup(base, totalLimit)
    this.#relay = { idleTimeout, limit, group }
    // One listener for each connect under way is no leak.
    setMaxListeners(0, this.#giveUp.signal)
    const upstreams = 'length' in upstream ? upstream : [upstream]
    this.#balancer = new Balancer(upstreams, balance)
    this.#listener = listen(
      base,
      {
        ...options.listen,
        onError: (error, retryAfter = 0) => onProblem({ kind: 'acceptFailed', error, retryAfter }),
      },
      (fd, peer) => void this.#forward(fd, peer),
    )
  }

  /** Where it listens. */
  get address(): SocketAddress {
    return this.#listener.address
  }

  /** What it has done, connections under way included. */
  stats(): ProxyStats {
    const live = new Map<Backend, { up: number; down: number }>()
    for (const [{ stats }, { backend, ahead }] of this.#relays) {
      const { up, down } = live.get(backend) ?? { up: 0, down: 0 }
      live.set(backend, { up: up + Math.max(stats.bytesAToB - ahead, 0), down: down + stats.bytesBToA })
    }
    const upstreams = this.#balancer.backends.map((one) => statsOf(one, live.get(one)))
    const sum = (of: 'failed' | 'bytesUp' | 'bytesDown'): number =>
      upstreams.reduce((before, one) => before + one[of], 0)
    return {
      accepted: this.#accepted,
      open: this.#relays.size + this.#connecting,
      refused: this.#refused,
      failed: sum('failed'),
      bytesUp: sum('bytesUp'),
      bytesDown: sum('bytesDown'),
      threads: [],
      upstreams,
    }
  }

  /** Accepts no more. Once the connections under way have ended, nothing of it is left in the base. */
  drain(): void {
    this.#listener.close()
  }

  /** Ends everything at once. */
  close(): void {
    this.#listener.close()
    this.#giveUp.abort()
    for (const pipe of this.#relays.keys()) pipe.close()
  }

  async #forward(fd: number, peer: SocketAddress): Promise<void> {
    this.#accepted += 1
    this.#connecting += 1
    const tried = new Set<Backend>()
    for (;;) {
      const choice = this.#balancer.pick(tried)
      if (choice === undefined) break
      const { backend } = choice
      tried.add(backend)
      backend.open += 1
      let there: number
      try {
        // One after the other is what is meant.
        // oxlint-disable-next-line no-await-in-loop
        there = await this.#connect(backend)
      } catch (error) {
        backend.open -= 1
        if (this.#giveUp.signal.aborted || !this.#fail(choice, error as Error)) break
        continue
      }
      this.#connecting -= 1
      this.#take(choice, { fd, there, peer })
      return
    }
    this.#connecting -= 1
    this.#refused += 1
    close(fd)
  }

  async #connect(backend: Backend): Promise<number> {
    const { connectTimeout = CONNECT_TIMEOUT } = this.#options
    const { signal } = this.#giveUp
    const start = performance.now()
    const there = await connect(this.#base, backend.target, {
      signal,
      timeout: connectTimeout === 0 ? undefined : connectTimeout,
    })
    const took = performance.now() - start
    backend.connected += 1
    backend.connectMs += took
    backend.longestConnectMs = Math.max(backend.longestConnectMs, took)
    return there
  }

  /** An upstream did not take a connection: whether the next one may. */
  #fail({ backend, isProbe }: Choice, error: Error): boolean {
    const { onProblem } = this.#options
    backend.refused += 1
    const times = backend.countFailure()
    if (times > 0) onProblem({ kind: 'connectFailed', upstream: backend.name, error, times })
    const code = 'code' in error ? error.code : undefined
    if (SHORTAGES.has(code) || code === 'EADDRNOTAVAIL') {
      // It says nothing about the upstream.
      if (isProbe) backend.abandon()
      return !SHORTAGES.has(code)
    }
    const retryAfter = backend.fail(isProbe)
    if (retryAfter !== undefined)
      onProblem({ kind: 'upstreamDown', upstream: backend.name, error, retryAfter })
    return true
  }

  /** An upstream took a connection. */
  #take({ backend }: Choice, { fd, there, peer }: { fd: number; there: number; peer: SocketAddress }): void {
    if (backend.succeed()) this.#options.onProblem({ kind: 'upstreamUp', upstream: backend.name })
    const { proxyProtocol: version } = this.#options
    const header =
      version === undefined ? undefined : native.proxyHeader(version, toPlace(peer), toPlace(addressOf(fd)))
    const options = header === undefined ? this.#relay : { ...this.#relay, prefix: { aToB: header } }
    const ahead = header?.length ?? 0
    const pipe: Relay = relay(this.#base, fd, there, options, (end) => {
      this.#relays.delete(pipe)
      backend.open -= 1
      backend.bytesUp += Math.max(end.bytesAToB - ahead, 0)
      backend.bytesDown += end.bytesBToA
      if (end.reason === 'error') backend.failed += 1
    })
    this.#relays.set(pipe, { backend, ahead })
  }
}

function statsOf(backend: Backend, live = { up: 0, down: 0 }): UpstreamStats {
  const { name, weight, state, retryAfter, connected, open, refused, failed } = backend
  return {
    name,
    weight,
    state,
    ...(state === 'down' ? { retryAfter } : {}),
    connected,
    open,
    refused,
    failed,
    bytesUp: backend.bytesUp + live.up,
    bytesDown: backend.bytesDown + live.down,
    connectMs: connected === 0 ? 0 : backend.connectMs / connected,
    longestConnectMs: backend.longestConnectMs,
  }
}
