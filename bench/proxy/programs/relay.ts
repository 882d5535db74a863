/** The native relay with its policy in TypeScript, as a user would write it: `relay.js UPSTREAM_PORT`. */
import { EventBase } from '../../../index.js'
import { connect, listen, relay, socket } from '../../../net.js'

const upstream = { host: '127.0.0.1', port: Number(process.argv[2]) }
const base = new EventBase()

async function pass(fd: number): Promise<void> {
  try {
    relay(base, fd, await connect(base, upstream), {}, () => {})
  } catch {
    socket.close(fd)
  }
}

const { address } = listen(base, { host: '127.0.0.1', port: 0 }, (fd) => void pass(fd))
console.log(`listening at ${address.host}:${address.port}`)
await base.run()
