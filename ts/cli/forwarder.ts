/** A TCP proxy on one base: what `event-base proxy` runs. */

import { setMaxListeners } from 'node:events'

import type { EventBase } from '../event-base.js'
import type { HostAndPort, InternetAddress } from '../net/address.js'
import { connect } from '../net/connect.js'
import { listen, type Listener } from '../net/listener.js'
import { relay, type Relay, type RelayOptions } from '../net/relay.js'
import { close } from '../net/socket.js'

/** What a forwarder has done. */
export interface Traffic {
  /** Connections accepted. */
  accepted: number
  /** Connections under way, those to the upstream still being made included. */
  open: number
  /** Connections the upstream did not take. */
  refused: number
  /** Connections that ended by an error. */
  failed: number
  /** Bytes towards the upstream. */
  bytesUp: number
  /** Bytes from the upstream. */
  bytesDown: number
}

/** How to forward. */
export interface ForwarderOptions {
  listen: HostAndPort
  upstream: HostAndPort
  /** Milliseconds without a byte that end a connection; 0 for never. */
  idleTimeout: number
  /** Milliseconds a connection to the upstream may take. */
  connectTimeout: number
  /** Called with what went wrong; forwarding goes on. */
  onProblem: (problem: string) => void
}

/** Accepts, connects, relays. */
export class Forwarder {
  readonly #base: EventBase
  readonly #options: ForwarderOptions
  readonly #listener: Listener<InternetAddress>
  readonly #relays: Set<Relay> = new Set()
  readonly #giveUp: AbortController = new AbortController()
  readonly #ended = { accepted: 0, refused: 0, failed: 0, bytesUp: 0, bytesDown: 0 }
  #connecting = 0

  constructor(base: EventBase, options: ForwarderOptions) {
    this.#base = base
    this.#options = options
    // One listener for each connect under way is no leak.
    setMaxListeners(0, this.#giveUp.signal)
    const { onProblem } = options
    this.#listener = listen(
      base,
      { ...options.listen, onError: (error) => onProblem(`accepting: ${error.message}`) },
      (fd) => void this.#forward(fd),
    )
  }

  /** Where it listens. */
  get address(): InternetAddress {
    return this.#listener.address
  }

  /** What it has done, connections under way included. */
  get traffic(): Traffic {
    let { bytesUp, bytesDown } = this.#ended
    for (const { stats } of this.#relays) {
      bytesUp += stats.bytesAToB
      bytesDown += stats.bytesBToA
    }
    return { ...this.#ended, bytesUp, bytesDown, open: this.#relays.size + this.#connecting }
  }

  /** Accepts no more. Once the connections under way have ended, nothing of it is left in the base. */
  drain(): void {
    this.#listener.close()
  }

  /** Ends everything at once. */
  close(): void {
    this.#listener.close()
    this.#giveUp.abort()
    for (const pipe of this.#relays) pipe.close()
  }

  async #forward(fd: number): Promise<void> {
    const { upstream, connectTimeout, idleTimeout, onProblem } = this.#options
    this.#ended.accepted += 1
    this.#connecting += 1
    let there: number
    try {
      there = await connect(this.#base, upstream, { timeout: connectTimeout, signal: this.#giveUp.signal })
    } catch (error) {
      close(fd)
      this.#ended.refused += 1
      if (!this.#giveUp.signal.aborted) onProblem(`upstream: ${(error as Error).message}`)
      return
    } finally {
      this.#connecting -= 1
    }
    this.#relay(fd, there, { idleTimeout })
  }

  #relay(fd: number, there: number, options: RelayOptions): void {
    const pipe: Relay = relay(this.#base, fd, there, options, (end) => {
      this.#relays.delete(pipe)
      this.#ended.bytesUp += end.bytesAToB
      this.#ended.bytesDown += end.bytesBToA
      if (end.reason === 'error') this.#ended.failed += 1
    })
    this.#relays.add(pipe)
  }
}
