/** The far end, in a process of its own: one port counts what it receives, the other sends it back. */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Listening } from './messages.js'

const sink = await listening((client) => {
  let bytes = 0
  client.on('data', (data) => {
    bytes += data.length
  })
  client.on('end', () => client.end(String(bytes)))
})
const echo = await listening((client) => client.pipe(client))

process.send?.({ sink, echo } satisfies Listening)
process.on('disconnect', () => process.exit())

function listening(onConnection: (client: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, onConnection)
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}
