// A TCP proxy: `proxy.ts PORT UPSTREAM_PORT`, until SIGINT. The bytes never pass through JavaScript.
import { EventBase } from '../index.js'
import { connect, listen, relay, socket } from '../net.js'

const host = '127.0.0.1'
const [port = 0, upstreamPort = 0] = process.argv.slice(2).map(Number)
const base = new EventBase()

const listener = listen(base, { host, port }, async (fd, peer) => {
  try {
    const upstream = await connect(base, { host, port: upstreamPort }, { timeout: 2000 })
    relay(base, fd, upstream, { idleTimeout: 60_000 }, ({ reason, bytesAToB, bytesBToA }) => {
      console.log(peer, reason, `${bytesAToB} bytes up, ${bytesBToA} bytes down`)
    })
  } catch (error) {
    console.error(peer, error)
    socket.close(fd)
  }
})

process.once('SIGINT', () => {
  console.log('no new connections; waiting for the last to end')
  listener.close()
})
console.log('listening at', listener.address.port)
await base.run()
base.close()
