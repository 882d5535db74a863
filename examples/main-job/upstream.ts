/** The server behind the proxy, on Node's own `net`, which is not under test. */

import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'

import { onStop, sendToParent } from './child.js'
import { digest, HEADER_BYTES, parseHeader, send } from './protocol.js'

function serve(client: Socket): void {
  client.setNoDelay(true)
  // The client reports the failure.
  client.on('error', () => client.destroy())
  client.once('readable', function begin() {
    const head = client.read(HEADER_BYTES) as Buffer | null
    if (head === null) {
      client.once('readable', begin)
      return
    }
    const { kind, length } = parseHeader(head)
    if (kind === 'E') client.pipe(client)
    else if (kind === 'U') receive(client)
    else void send(client, length).then((sum) => client.end(sum))
  })
}

function receive(client: Socket): void {
  const hash = digest()
  client.on('data', (chunk: Buffer) => hash.update(chunk))
  client.on('end', () => client.end(hash.digest()))
}

const server = createServer({ allowHalfOpen: true }, serve)
server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 }, () =>
  sendToParent((server.address() as AddressInfo).port),
)
onStop(async () => {
  server.close()
  await once(server, 'close')
})
