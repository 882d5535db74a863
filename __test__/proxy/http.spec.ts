import {
  Agent,
  createServer,
  request,
  type IncomingMessage,
  type RequestListener,
  type RequestOptions,
} from 'node:http'
import type { Socket } from 'node:net'

import { describe, expect, onTestFinished, test } from 'vitest'

import type { SystemError } from '../../index.js'
import { socket } from '../../net.js'
import { deferred, dial, drain, LOOPBACK, pattern, serve, until } from '../net/support.js'
import { first, kinds, rawClient, serving, whole } from './support.js'

/** A server, its port, and the number of connections to it. */
async function site(onRequest: RequestListener) {
  const server = createServer(onRequest)
  let connections = 0
  server.on('connection', () => (connections += 1))
  const port = await serving(server, () => server.closeAllConnections())
  return { server, port, connections: () => connections }
}

/** Keeps at most that number of connections alive. */
function keeping(maxSockets: number): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets })
  onTestFinished(() => agent.destroy())
  return agent
}

function post(port: number, options: RequestOptions = {}) {
  const call = request({ host: LOOPBACK, port, method: 'POST', ...options })
  // The promise of the answer rejects with it.
  call.on('error', () => {})
  return { call, answer: first<IncomingMessage>(call, 'response') }
}

const echo: RequestListener = (message, response) => {
  response.setHeader('x-path', message.url ?? '')
  message.pipe(response)
}

describe.each(kinds)('$name', ({ start }) => {
  test('several requests use one connection, with chunked bodies in both directions', async () => {
    const { port: upstream, connections } = await site(echo)
    const { port } = await start(upstream)
    const agent = keeping(1)
    for (let round = 0; round < 30; round += 1) {
      const body = pattern(round * round * 997, round)
      const { call, answer } = post(port, { agent, path: `/${round}` })
      const middle = body.length >> 1
      call.write(Buffer.concat([Buffer.from('<'), body.subarray(0, middle)]))
      call.end(body.subarray(middle))
      const response = await answer
      expect(response.headers).toMatchObject({ 'transfer-encoding': 'chunked', 'x-path': `/${round}` })
      const back = await whole(response)
      expect(back.subarray(1).equals(body)).toBe(true)
    }
    expect(connections()).toBe(1)
  })

  test('concurrent connections get the answers to their own requests', async () => {
    const { port: upstream, connections } = await site(echo)
    const { port } = await start(upstream)
    const agent = keeping(32)
    await Promise.all(
      Array.from({ length: 600 }, async (_, index) => {
        const body = pattern(index * 31, index)
        const { call, answer } = post(port, { agent, path: `/${index}` })
        call.end(body)
        const response = await answer
        expect(response.headers['x-path']).toBe(`/${index}`)
        expect((await whole(response)).equals(body)).toBe(true)
      }),
    )
    expect(connections()).toBe(32)
  })

  test('pipelined requests are answered in order', async () => {
    const { port: upstream } = await site((message, response) => response.end(`${message.url};`))
    const { port } = await start(upstream)
    const client = await dial(port)
    const paths = Array.from({ length: 100 }, (_, index) => `/${index}`)
    const head = 'HTTP/1.1\r\nHost: here\r\n'
    const [last] = paths.slice(-1)
    client.write(
      paths.map((path) => `GET ${path} ${head}${path === last ? 'Connection: close\r\n' : ''}\r\n`).join(''),
    )
    const text = (await drain(client)).toString('latin1')
    expect(text.match(/\/\d+;/g)).toEqual(paths.map((path) => `${path};`))
  })

  test('a body with "expect: 100-continue" is sent only after the server requests it', async () => {
    const { server, port: upstream } = await site(() => {})
    let asked = false
    server.on('checkContinue', (message: IncomingMessage, response) => {
      if (message.url === '/no') {
        response.writeHead(417).end()
        return
      }
      void whole(message).then((body) => response.end(`${asked} ${body}`))
      setImmediate(() => {
        asked = true
        response.writeContinue()
      })
    })
    const { port } = await start(upstream)
    const headers = { expect: '100-continue' }
    const wanted = post(port, { headers, path: '/yes' })
    wanted.call.once('continue', () => wanted.call.end(`${asked}`))
    wanted.call.flushHeaders()
    expect(String(await whole(await wanted.answer))).toBe('true true')

    const unwanted = post(port, { headers, path: '/no' })
    unwanted.call.once('continue', () => expect.unreachable('the server did not ask'))
    unwanted.call.flushHeaders()
    expect((await unwanted.answer).statusCode).toBe(417)
    unwanted.call.destroy()
  })

  test('an upgraded connection carries arbitrary bytes, the first in one piece with the heads', async () => {
    const { server, port: upstream } = await site(() => {})
    const received = deferred<Buffer>()
    server.on('upgrade', (_: IncomingMessage, peer: Socket, head: Buffer) => {
      peer.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: bytes\r\n\r\nwelcome')
      peer.unshift(head)
      void (async () => {
        received.resolve(await whole(peer))
        peer.end(pattern(700_000, 2))
      })()
    })
    const { port } = await start(upstream)
    const client = await dial(port)
    client.write('GET / HTTP/1.1\r\nHost: here\r\nConnection: upgrade\r\nUpgrade: bytes\r\n\r\nearly')
    client.end(pattern(900_000, 1))
    const answer = await drain(client)
    const body = answer.indexOf('\r\n\r\n') + 4
    expect(answer.toString('latin1', 0, 12)).toBe('HTTP/1.1 101')
    expect(answer.toString('latin1', body, body + 7)).toBe('welcome')
    expect(answer.subarray(body + 7).equals(pattern(700_000, 2))).toBe(true)
    const bytes = await received.promise
    expect(bytes.toString('latin1', 0, 5)).toBe('early')
    expect(bytes.subarray(5).equals(pattern(900_000, 1))).toBe(true)
  })

  test('an answer that precedes the end of the request arrives complete', async () => {
    const refusal = pattern(300_000, 3)
    // The server reads the rest of the request until the client has the answer.
    const upstream = await serve((peer) => {
      peer.once('data', () => {
        peer.write(`HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: ${refusal.length}\r\n\r\n`)
        peer.end(refusal)
      })
      peer.resume()
    })
    const { port } = await start(upstream)
    const { call, answer } = post(port)
    const piece = pattern(65_536, 4)
    let over = false
    const send = (): void => {
      if (!over) call.write(piece, () => setImmediate(send))
    }
    send()
    const response = await answer
    expect(response.statusCode).toBe(413)
    expect((await whole(response)).equals(refusal)).toBe(true)
    over = true
    call.destroy()
  })

  test('the answer of a server that closes while the client still sends arrives', async () => {
    const answer = 'HTTP/1.1 413 Too Large\r\nConnection: close\r\n\r\n'
    const upstream = await serve((peer) => {
      // Linux resets a connection that is closed with unread bytes: RFC 1122, section 4.2.2.13.
      peer.once('readable', () => peer.write(answer, () => peer.destroy()))
    })
    const { port } = await start(upstream)
    const client = rawClient(port)
    const piece = pattern(65_536, 4)
    const received = Buffer.alloc(1000)
    let length = 0
    let open = true
    await until(() => {
      try {
        if (open) socket.write(client, piece)
      } catch (error) {
        open = false
        expect(['EPIPE', 'ECONNRESET']).toContain((error as SystemError).code)
      }
      try {
        const count = socket.read(client, received, length)
        if (count > 0) length += count
        return count === 0
      } catch (error) {
        expect((error as SystemError).code).toBe('ECONNRESET')
        return true
      }
    }, 'the end of the answer')
    expect(received.toString('latin1', 0, length)).toBe(answer)
  })
})
