/** The native relay with its policy in TypeScript, as a user would write it: `relay.js UPSTREAM_PORT`. */
import { EventBase } from '../../../index.js'
import { listen, relay, socket } from '../../../net.js'

const upstream = { host: '127.0.0.1', port: Number(process.argv[2]) }
const base = new EventBase()

const { address } = listen(base, { host: '127.0.0.1', port: 0 }, (fd) => {
  let far: number
  try {
    far = socket.connect(upstream)
  } catch {
    // No port is free, for one.
    socket.close(fd)
    return
  }
  // It waits for the connect by itself, so that nothing comes back to JavaScript before the end.
  relay(base, fd, far, { connectTimeout: 10_000 })
})
console.log(`listening at ${address.host}:${address.port}`)
await base.run()
