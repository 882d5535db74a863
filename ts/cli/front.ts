/** The two ways of forwarding behind one interface. */

import { EventBase } from '../event-base.js'
import type { SocketAddress } from '../net/address.js'
import type { ProxyProblem } from '../net/proxy-problem.js'
import { proxy, type ProxyStats } from '../net/proxy.js'
import { Forwarder } from './forwarder.js'
import type { Settings } from './settings.js'

/** A proxy that runs. */
export interface Front {
  address: SocketAddress
  /** Who does the work, for people. */
  engine: string
  stats(): ProxyStats
  /** Accepts no more, and ends with the last connection, or after `timeout` milliseconds. */
  drain(timeout: number): void
  /** Ends everything at once. */
  close(): void
  /** Settles when everything has ended. */
  ended: Promise<void>
}

/** @throws {SystemError} when it cannot listen */
export async function open(settings: Settings, onProblem: (problem: ProxyProblem) => void): Promise<Front> {
  return settings.threads === undefined
    ? onBase(settings, onProblem)
    : await onThreads(settings, settings.threads, onProblem)
}

async function onThreads(
  { listen, upstreams, options }: Settings,
  threads: number,
  onProblem: (problem: ProxyProblem) => void,
): Promise<Front> {
  const door = await proxy({ ...options, listen, upstream: upstreams, threads, onProblem })
  return {
    address: door.address,
    engine: threads === 1 ? '1 thread' : `${threads} threads`,
    stats: () => door.stats(),
    drain: (timeout) => void door.drain({ timeout }).catch(() => {}),
    close: () => void door.close().catch(() => {}),
    ended: door.closed,
  }
}

function onBase({ listen, upstreams, options }: Settings, onProblem: (problem: ProxyProblem) => void): Front {
  const base = new EventBase()
  const forwarder = new Forwarder(base, {
    ...options,
    listen,
    upstream: upstreams,
    onProblem,
  })
  let timer: NodeJS.Timeout | undefined
  // Ends when the listener is closed and nothing is under way any more.
  const run = async (): Promise<void> => {
    await base.run()
    clearTimeout(timer)
    base.close()
  }
  return {
    address: forwarder.address,
    engine: base.method,
    stats: () => forwarder.stats(),
    drain(timeout) {
      forwarder.drain()
      timer = setTimeout(() => forwarder.close(), timeout)
    },
    close: () => forwarder.close(),
    ended: run(),
  }
}
