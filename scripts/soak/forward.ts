// The proxies in TypeScript: relays, and pairs of buffer events.
import { EV, type EventBase } from '../../index.js'
import {
  BEV,
  BufferEvent,
  connect,
  listen,
  relay,
  socket,
  type ListenOptions,
  type Listener,
  type RelayOptions,
} from '../../net.js'
import { upstream } from './program.js'

/** The bytes that wait for a slow reader before its source is not read. */
const MOST_HELD = 256 * 1024
/** Milliseconds that a connect may take. */
const CONNECT_TIMEOUT = 10_000

/** Accepts connections and relays them. Some relays are paused for a while. */
export function forwardByRelays(base: EventBase, where: ListenOptions, options: RelayOptions): Listener {
  let count = 0
  return listen(base, where, async (fd) => {
    let there: number
    try {
      there = await connect(base, upstream, { timeout: CONNECT_TIMEOUT })
    } catch {
      socket.close(fd)
      return
    }
    const made = relay(base, fd, there, options)
    count += 1
    if (count % 16 !== 0) return
    made.pause()
    base.newTimer(() => made.resume()).add(50)
  })
}

/**
 * The same for a worker that may be terminated at any time: each descriptor belongs to a relay before JavaScript returns to
 * the loop. Nothing would close one that waits for a connect in a callback.
 */
export function forwardByConnectingRelays(base: EventBase, where: ListenOptions): Listener {
  return listen(base, where, (fd) => {
    let there: number
    try {
      there = socket.connect(upstream)
    } catch {
      socket.close(fd)
      return
    }
    relay(base, fd, there, { connectTimeout: CONNECT_TIMEOUT })
  })
}

/** Accepts connections and copies them between two buffer events each. `touch` may change a chunk. */
export function forwardByStreams(
  base: EventBase,
  where: ListenOptions,
  options: { rate?: number; touch?: (chunk: Buffer) => void } = {},
): Listener {
  const limit = options.rate === undefined ? undefined : { rate: options.rate, burst: 32 * 1024 }
  return listen(base, where, (fd) => {
    const near = new BufferEvent(base, fd, { limit })
    const far = new BufferEvent(base, -1, { limit })
    const ended = new Set<BufferEvent>()
    const abort = (): void => {
      for (const stream of [near, far]) {
        if (!stream.closed && stream.fd >= 0) socket.setOption(stream.fd, 'linger', 0)
        stream.close()
      }
    }
    const closeIfOver = (): void => {
      if (ended.size < 2 || near.output.length > 0 || far.output.length > 0) return
      near.close()
      far.close()
    }
    const couple = (from: BufferEvent, to: BufferEvent): void => {
      from.setCallbacks({
        onRead: () => {
          if (options.touch !== undefined) from.input.chunks.forEach(options.touch)
          from.input.moveTo(to.output)
          if (to.output.length > MOST_HELD) from.disable(EV.READ)
        },
        onWrite: () => {
          if (!ended.has(to)) to.enable(EV.READ)
          closeIfOver()
        },
        onEvent: (what) => {
          if ((what & (BEV.ERROR | BEV.TIMEOUT)) !== 0) return abort()
          if ((what & BEV.EOF) === 0) return
          ended.add(from)
          to.end()
          closeIfOver()
        },
      })
      from.enable(EV.READ | EV.WRITE)
    }
    couple(near, far)
    couple(far, near)
    far.connect(upstream, { timeout: CONNECT_TIMEOUT })
  })
}
