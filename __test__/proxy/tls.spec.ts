import { Agent, createServer as createSite, request } from 'node:https'
import { connect, createServer, type ConnectionOptions, type TLSSocket, type TlsOptions } from 'node:tls'
import type { IncomingMessage } from 'node:http'

import { describe, expect, onTestFinished, test } from 'vitest'

import { LOOPBACK, pattern, until } from '../net/support.js'
import { credentials, first, kinds, serving, whole } from './support.js'

/** A TLS server whose connections end with the test. */
async function tlsServer(options: TlsOptions, onPeer: (peer: TLSSocket) => void): Promise<number> {
  const open = new Set<TLSSocket>()
  const server = createServer({ ...credentials, ...options }, (peer) => {
    open.add(peer)
    peer.on('error', () => {})
    onPeer(peer)
  })
  return await serving(server, () => open.forEach((peer) => peer.destroy()))
}

/** The sessions that clients may resume. TLS 1.2 issues one before the end of the handshake, 1.3 after it. */
const sessions = new WeakMap<TLSSocket, Buffer>()

/** A client after its handshake, which has verified the certificate. */
async function tlsClient(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const client = connect({ host: LOOPBACK, port, servername: 'localhost', ca: credentials.cert, ...options })
  onTestFinished(() => void client.destroy())
  client.once('session', (session: Buffer) => sessions.set(client, session))
  await first(client, 'secureConnect')
  return client
}

describe.each(kinds)('$name', ({ start }) => {
  test('several https requests use one connection', async () => {
    let connections = 0
    const server = createSite(credentials, (message, response) => message.pipe(response))
    server.on('secureConnection', () => (connections += 1))
    const { port } = await start(await serving(server, () => server.closeAllConnections()))
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    onTestFinished(() => agent.destroy())
    const place = { host: LOOPBACK, port, servername: 'localhost', ca: credentials.cert }
    for (let round = 0; round < 20; round += 1) {
      const body = pattern(round * 20_011, round)
      const call = request({ ...place, agent, method: 'POST' })
      const answer = first<IncomingMessage>(call, 'response')
      call.end(body)
      expect((await whole(await answer)).equals(body)).toBe(true)
    }
    expect(connections).toBe(1)
  })

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    '%s works end to end, and its session is resumed',
    async (version) => {
      const reused: boolean[] = []
      const versions = { minVersion: version, maxVersion: version }
      const upstream = await tlsServer({ ...versions, ALPNProtocols: ['one', 'two'] }, (peer) => {
        reused.push(peer.isSessionReused())
        peer.end(`${peer.alpnProtocol} ${peer.getProtocol()}`)
      })
      const { port } = await start(upstream)
      const client = await tlsClient(port, { ...versions, ALPNProtocols: ['two', 'three'] })
      expect(client.authorized).toBe(true)
      expect(String(await whole(client))).toBe(`two ${version}`)
      client.end()
      await until(() => sessions.has(client), 'a session')
      const again = await tlsClient(port, {
        ...versions,
        ALPNProtocols: ['two'],
        session: sessions.get(client),
      })
      expect(again.isSessionReused()).toBe(true)
      expect(String(await whole(again))).toBe(`two ${version}`)
      expect(reused).toEqual([false, true])
    },
  )

  test('bytes pass in both directions at the same time, and an answer follows the end of the request', async () => {
    const there = pattern(5_000_000, 1)
    const back = pattern(3_000_000, 2)
    const upstream = await tlsServer({ allowHalfOpen: true }, (peer) => {
      peer.write(back)
      void whole(peer).then((received) => peer.end(`${received.equals(there)}`))
    })
    const { port } = await start(upstream)
    const client = await tlsClient(port)
    client.end(there)
    const received = await whole(client)
    expect(received.subarray(0, back.length).equals(back)).toBe(true)
    expect(received.toString('latin1', back.length)).toBe('true')
  })

  test('the server is notified of a client that does not trust it', async () => {
    const server = createServer(credentials)
    const refused = new Promise<NodeJS.ErrnoException>((resolve) => {
      server.once('tlsClientError', resolve)
    })
    const { port } = await start(await serving(server))
    await expect(tlsClient(port, { ca: [] })).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
    expect(await refused).toBeInstanceOf(Error)
  })
})
