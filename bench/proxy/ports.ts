// Free ports.
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

/** A port that is free at the moment, for servers that cannot report the port that the system chose. */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
