/**
 * A bridge between a unix socket and TCP, in either direction. The bytes do not pass through JavaScript.
 *
 *     npx tsx examples/unix-bridge.ts --listen 127.0.0.1:2375 --to unix:/var/run/docker.sock
 *     npx tsx examples/unix-bridge.ts --listen unix:/tmp/database --to db.example.org:5432
 */

import { EventBase } from '../index.js'
import { connect, listen, relay, socket } from '../net.js'
import { formatAddress, main, parseSeconds, parseTarget, runUntilStopped } from './shared/command.js'

const USAGE = `
usage: unix-bridge.ts --listen ADDRESS --to ADDRESS [--idle-timeout SECONDS]

Forwards connections until SIGINT or SIGTERM, and then removes the socket file it made.
An ADDRESS is HOST:PORT, unix:PATH, or unix:@NAME in Linux's abstract namespace.
  --idle-timeout SECONDS  ends a connection without traffic for this time (default 0: never)
`

const options = {
  listen: { type: 'string' },
  to: { type: 'string' },
  'idle-timeout': { type: 'string', default: '0' },
} as const

await main(import.meta.url, USAGE, options, async (values) => {
  const here = parseTarget('--listen', values.listen)
  const there = parseTarget('--to', values.to)
  const idleTimeout = parseSeconds('--idle-timeout', values['idle-timeout'])
  const base = new EventBase()
  const listener = listen(base, here, async (fd) => {
    try {
      const upstream = await connect(base, there, { timeout: 5000 }).catch((error: unknown) => {
        socket.close(fd)
        throw error
      })
      // If the system refuses to watch one of them, the relay has closed both.
      relay(base, fd, upstream, { idleTimeout })
    } catch (error) {
      if (!base.closed) console.error((error as Error).message)
    }
  })
  const stopped = runUntilStopped(base)
  console.log(`listening at ${formatAddress(listener.address)}, forwarding to ${formatAddress(there)}`)
  await stopped
})
