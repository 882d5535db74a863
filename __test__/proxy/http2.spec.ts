import {
  connect,
  createSecureServer,
  createServer,
  type ClientHttp2Session,
  type Http2Server,
  type ServerHttp2Stream,
} from 'node:http2'
import { createHash } from 'node:crypto'

import { describe, expect, onTestFinished, test } from 'vitest'

import { LOOPBACK, pattern } from '../net/support.js'
import { credentials, first, kinds, serving, whole } from './support.js'

/** A server, plain or over TLS, whose sessions end with the test. */
async function site(secure: boolean, onStream: (stream: ServerHttp2Stream, path: string) => void) {
  const server: Http2Server = secure
    ? (createSecureServer(credentials) as unknown as Http2Server)
    : createServer()
  let sessions = 0
  server.on('session', (made) => {
    sessions += 1
    onTestFinished(() => made.destroy())
  })
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    onStream(stream, headers[':path'] ?? '')
  })
  return { upstream: await serving(server), sessions: () => sessions }
}

async function session(secure: boolean, port: number): Promise<ClientHttp2Session> {
  const client = connect(`${secure ? 'https' : 'http'}://localhost:${port}`, {
    ca: credentials.cert,
    lookup: (_host, _options, found) => found(null, [{ address: LOOPBACK, family: 4 }] as never, 4),
  })
  onTestFinished(() => client.destroy())
  await first(client, 'connect')
  return client
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

const cases = kinds.flatMap(({ name, start }) => [
  { name: `${name}, over TLS`, start, secure: true },
  { name: `${name}, plain`, start, secure: false },
])

describe.each(cases)('$name', ({ start, secure }) => {
  test('hundreds of streams share a connection, each with its own body', async () => {
    const { upstream, sessions } = await site(secure, (stream, path) => {
      stream.respond({ ':status': 200, 'x-path': path })
      stream.pipe(stream)
    })
    const { port } = await start(upstream)
    const client = await session(secure, port)
    await Promise.all(
      Array.from({ length: 250 }, async (_, index) => {
        const body = pattern((index * 7919) % 60_000, index)
        const stream = client.request({ ':method': 'POST', ':path': `/${index}` })
        const head = first<Record<string, string>>(stream, 'response')
        const back = whole(stream)
        stream.end(body)
        expect((await head)['x-path']).toBe(`/${index}`)
        expect((await back).equals(body)).toBe(true)
      }),
    )
    expect(sessions()).toBe(1)
  })

  test('large bodies pass in both directions at the same time', async () => {
    const { upstream } = await site(secure, (stream, path) => {
      const index = Number(path.slice(1))
      stream.respond({ ':status': 200 }, { waitForTrailers: true })
      let received = ''
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-digest': received }))
      void (async () => {
        received = digest(await whole(stream))
        stream.end(pattern(1_500_000, index))
      })()
    })
    const { port } = await start(upstream)
    const client = await session(secure, port)
    await Promise.all(
      Array.from({ length: 4 }, async (_, index) => {
        const body = pattern(2_000_000, 100 + index)
        const stream = client.request({ ':method': 'POST', ':path': `/${index}` })
        const trailers = first<Record<string, string>>(stream, 'trailers')
        const back = whole(stream)
        stream.end(body)
        expect((await back).equals(pattern(1_500_000, index))).toBe(true)
        expect((await trailers)['x-digest']).toBe(digest(body))
      }),
    )
  })

  test('a reset stream does not affect the others', async () => {
    const { upstream } = await site(secure, (stream, path) => {
      stream.respond({ ':status': 200 })
      if (path === '/kept') stream.pipe(stream)
      else stream.write(pattern(100_000, 1))
    })
    const { port } = await start(upstream)
    const client = await session(secure, port)
    const kept = client.request({ ':method': 'POST', ':path': '/kept' })
    const back = whole(kept)
    kept.write('before ')
    const dropped = client.request({ ':path': '/dropped' })
    await first(dropped, 'data')
    const closed = first(dropped, 'close')
    dropped.close(8)
    await closed
    kept.end('after')
    expect(String(await back)).toBe('before after')
  })
})
