// A proxy on threads, whose successor starts at the same port before it is drained; its list of upstreams changes.
import { proxy, type InternetAddress, type TcpProxy } from '../../net.js'
import { atRandom, HOST, ready, upstream } from './program.js'

const byName = { host: 'localhost', port: upstream.port }

function start(port: number): Promise<TcpProxy> {
  return proxy({ listen: { host: HOST, port, reusePort: true }, upstream, threads: 2 })
}

let current = await start(0)
const { port } = current.address as InternetAddress

const replace = atRandom(500, 3000, async () => {
  const before = current
  current = await start(port)
  await before.drain({ timeout: Math.random() < 0.5 ? 0 : 2000 })
})

const change = atRandom(100, 1000, async () => {
  await current.setUpstreams(Math.random() < 0.5 ? upstream : [byName, upstream])
})

ready([{ target: { host: HOST, port }, terms: 'plain' }], {
  setDisturbed: (on) => {
    replace(on)
    change(on)
  },
})
