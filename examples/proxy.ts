/**
 * A TCP proxy: the policy is TypeScript, the bytes never pass through it.
 *
 *     npx tsx examples/proxy.ts --listen 127.0.0.1:8080 --upstream example.org:80
 *
 * `npx event-base proxy` has more options and runs on native threads.
 */

import { EventBase } from '../index.js'
import { connect, listen, relay, socket } from '../net.js'
import { formatAddress, main, parseHostAndPort, runUntilStopped } from './shared/command.js'

const USAGE = `
usage: proxy.ts --listen HOST:PORT --upstream HOST:PORT

Forwards connections until SIGINT or SIGTERM.
`

const options = { listen: { type: 'string' }, upstream: { type: 'string' } } as const

await main(import.meta.url, USAGE, options, async (values) => {
  const upstream = parseHostAndPort('--upstream', values.upstream)
  const base = new EventBase()
  const listener = listen(base, parseHostAndPort('--listen', values.listen), async (fd, peer) => {
    const from = formatAddress(peer)
    try {
      const there = await connect(base, upstream, { timeout: 5000 }).catch((error: unknown) => {
        socket.close(fd)
        throw error
      })
      // If the system refuses to watch one of them, the relay has closed both.
      relay(base, fd, there, { idleTimeout: 60_000 }, ({ reason, bytesAToB, bytesBToA }) => {
        console.log(from, reason, `${bytesAToB} bytes to the upstream, ${bytesBToA} bytes to the client`)
      })
    } catch (error) {
      if (!base.closed) console.error(from, (error as Error).message)
    }
  })
  const stopped = runUntilStopped(base)
  console.log('listening at', formatAddress(listener.address))
  await stopped
})
