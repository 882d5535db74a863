/** The proxy under test: `front.ts METHOD UPSTREAM_PORT`. */

import { BaseFlag, EventBase, EventConfig } from '../../index.js'
import { Forwarder } from '../../ts/cli/forwarder.js'
import { describeProblem } from '../../ts/net/proxy-problem.js'
import { onStop, say } from './child.js'

/** What the proxy counted. */
export interface FrontReport {
  bytes: number
  accepted: number
  failed: number
}

const LOOPBACK = '127.0.0.1'
const [method = '', port = ''] = process.argv.slice(2)

const config = new EventConfig()
for (const other of EventBase.supportedMethods()) if (other !== method) config.avoidMethod(other)
if (method === 'epoll (with changelist)') config.setFlags(BaseFlag.EPOLL_USE_CHANGELIST)
const base = config.build()
if (base.method !== method) throw new Error(`asked for ${method}, got ${base.method}`)

const forwarder = new Forwarder(base, {
  listen: { host: LOOPBACK, port: 0 },
  upstream: { host: LOOPBACK, port: Number(port) },
  idleTimeout: 30_000,
  connectTimeout: 5000,
  onProblem: (problem) => console.error(`${method}: ${describeProblem(problem)}`),
})
if ('port' in forwarder.address) say(forwarder.address.port)
let stopped = false
onStop(() => {
  stopped = true
  const { accepted, failed, refused, bytesUp, bytesDown } = forwarder.stats()
  say({ accepted, failed: failed + refused, bytes: bytesUp + bytesDown } satisfies FrontReport)
  forwarder.drain()
})
await base.run()
if (!stopped) process.exitCode = 1
