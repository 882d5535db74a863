/** The proxy on native threads: `threaded.js UPSTREAM_PORT THREADS`. */
import { proxy } from '../../../net.js'

const HOST = '127.0.0.1'
const [upstream, threads] = process.argv.slice(2).map(Number)

const { address, closed } = await proxy({
  listen: { host: HOST, port: 0 },
  upstream: { host: HOST, port: upstream ?? 0 },
  threads: threads ?? 1,
})
console.log(`listening at ${address.host}:${address.port}`)
await closed
