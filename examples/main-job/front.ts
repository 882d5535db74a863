/** The proxy under test: `front.ts METHOD UPSTREAM_PORT`, with the name of a backend, or `proxy()`. */

import { EventBase, EventConfig } from '../../index.js'
import { connect, listen, proxy, relay, socket, type SocketAddress } from '../../net.js'
import { onStop, sendToParent } from './child.js'

/** The proxy's counters. */
export interface FrontReport {
  bytes: number
  accepted: number
  failed: number
}

const listenAt = { host: '127.0.0.1', port: 0 }
const [method = '', port = ''] = process.argv.slice(2)
const upstream = { host: '127.0.0.1', port: Number(port) }
const timeouts = { connect: 5000, idle: 30_000 }

function ready(address: SocketAddress): void {
  if ('port' in address) sendToParent(address.port)
}

/** A base on the backend of that name. */
function baseOn(name: string): EventBase {
  const config = new EventConfig()
  for (const other of EventBase.supportedMethods()) if (other !== name) config.avoidMethod(other)
  return config.build()
}

/** A small policy in TypeScript: accept, connect, relay on one base. */
function onBase(base: EventBase): void {
  const report: FrontReport = { bytes: 0, accepted: 0, failed: 0 }
  const fail = (error: unknown): void => {
    report.failed += 1
    console.error(`${base.method}: ${String(error)}`)
  }
  const listener = listen(base, listenAt, async (fd) => {
    report.accepted += 1
    try {
      const there = await connect(base, upstream, { timeout: timeouts.connect }).catch((error: unknown) => {
        socket.close(fd)
        throw error
      })
      // If the system refuses to watch one of them, the relay has closed both.
      relay(base, fd, there, { idleTimeout: timeouts.idle }, (end) => {
        report.bytes += end.bytesAToB + end.bytesBToA
        if (end.reason !== 'end') fail(end.error ?? end.reason)
      })
    } catch (error) {
      fail(error)
    }
  })
  ready(listener.address)
  // Settles when the listener is closed and every relay has ended.
  const ended = base.run()
  onStop(async () => {
    listener.close()
    await ended
    return report
  })
}

/** The proxy on native threads. */
async function onThreads(): Promise<void> {
  const running = await proxy({
    listen: listenAt,
    upstream,
    threads: 1,
    connectTimeout: timeouts.connect,
    idleTimeout: timeouts.idle,
    onProblem: (problem) => console.error('proxy():', problem),
  })
  ready(running.address)
  onStop(async () => {
    await running.drain()
    const { accepted, bytesAToB, bytesBToA, failed, refused } = running.stats
    return { accepted, failed: failed + refused, bytes: bytesAToB + bytesBToA } satisfies FrontReport
  })
}

if (method === 'proxy()') await onThreads()
else onBase(baseOn(method))
