import { once } from 'node:events'
import { type AddressInfo, connect as connectNode, createServer } from 'node:net'
import { EventBase } from '../../index.js'
import { connect, listen, relay } from '../../net.js'

/** A proxy in this process. */
export interface Proxy {
  readonly port: number
  close(): Promise<void>
}

const HOST = '127.0.0.1'

/** Node's own way: two sockets, piped into one another. */
export async function nodeProxy(upstream: number): Promise<Proxy> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const far = connectNode({ host: HOST, port: upstream, allowHalfOpen: true, noDelay: true })
    client.pipe(far)
    far.pipe(client)
    client.on('error', () => far.destroy())
    far.on('error', () => client.destroy())
  })
  server.listen(0, HOST)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.close()
      await once(server, 'close')
    },
  }
}

async function pass(base: EventBase, fd: number, upstream: number): Promise<void> {
  const far = await connect(base, { host: HOST, port: upstream })
  relay(base, fd, far, {}, ({ error }) => {
    if (error !== undefined) throw error
  })
}

/** The native relay, inside Node's loop. */
export async function relayProxy(upstream: number): Promise<Proxy> {
  const base = new EventBase()
  const listener = listen(base, { host: HOST, port: 0 }, (fd) => {
    void pass(base, fd, upstream)
  })
  const running = base.run()
  return {
    port: listener.address.port,
    close: async () => {
      listener.close()
      base.loopBreak()
      await running
      base.close()
    },
  }
}
