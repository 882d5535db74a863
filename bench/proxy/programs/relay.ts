/** The native relay with its policy in TypeScript: `relay.js UPSTREAM_PORT`. */
import { EventBase } from '../../../index.js'
import { listen, relay, socket } from '../../../net.js'

const upstream = { host: '127.0.0.1', port: Number(process.argv[2]) }
const base = new EventBase()

const { address } = listen(base, { host: '127.0.0.1', port: 0 }, (fd) => {
  let far: number
  try {
    far = socket.connect(upstream)
  } catch {
    // For example, no port is free.
    socket.close(fd)
    return
  }
  // The relay waits for the connect, so JavaScript runs only at the end.
  relay(base, fd, far, { connectTimeout: 10_000 })
})
console.log(`listening at ${address.host}:${address.port}`)
await base.run()
