/** Node's sockets, piped into each other: `node.js UPSTREAM_PORT`. */
import { type AddressInfo, connect, createServer } from 'node:net'

const HOST = '127.0.0.1'
const upstream = Number(process.argv[2])

const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
  const far = connect({ host: HOST, port: upstream, allowHalfOpen: true, noDelay: true })
  near.pipe(far)
  far.pipe(near)
  near.on('error', () => far.destroy())
  far.on('error', () => near.destroy())
})
server.listen({ host: HOST, port: 0, backlog: 4096 }, () => {
  console.log(`listening at ${HOST}:${(server.address() as AddressInfo).port}`)
})
