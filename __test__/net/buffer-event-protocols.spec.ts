import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import * as http from 'node:http'
import * as http2 from 'node:http2'
import type { AddressInfo, Server } from 'node:net'
import type { Duplex } from 'node:stream'
import * as tls from 'node:tls'

import { expect, onTestFinished, test } from 'vitest'

import type { EventBase } from '../../index.js'
import { BufferEvent, listen, type BufferEventDuplex } from '../../net.js'
import { anyPort, drain, LOOPBACK, openDescriptors, pattern, running, until } from './support.js'

const key = readFileSync(new URL('../fixtures/tls/key.pem', import.meta.url))
const cert = readFileSync(new URL('../fixtures/tls/cert.pem', import.meta.url))

/** Lets a server of Node listen, and returns its port. The server is closed after the test. */
async function portOf(server: Server): Promise<number> {
  server.listen(0, LOOPBACK)
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

async function dial(base: EventBase, port: number): Promise<BufferEventDuplex> {
  return (await BufferEvent.connect(base, { host: LOOPBACK, port })).toDuplex()
}

/** Accepts connections in the loop of the base, and returns the port. */
function accept(base: EventBase, onConnection: (duplex: BufferEventDuplex) => void): number {
  const listener = listen(base, anyPort, (fd) => {
    onConnection(new BufferEvent(base, fd).toDuplex())
  })
  return listener.address.port
}

const question = pattern(2_000_003, 5)
const answer = pattern(3_000_017, 6)

/** Sends a request and then a response over a connection, each longer than any buffer. */
async function exchange(client: Duplex, server: Promise<Duplex>): Promise<void> {
  const requested = server.then(async (stream) => {
    const received = await drain(stream)
    stream.end(answer)
    return received
  })
  const responded = drain(client)
  client.end(question)
  expect((await requested).equals(question)).toBe(true)
  expect((await responded).equals(answer)).toBe(true)
}

test('TLS: a client over a buffer event talks to a server of Node', async () => {
  const base = await running()
  const server = tls.createServer({ key, cert, allowHalfOpen: true })
  const port = await portOf(server)
  const duplex = await dial(base, port)
  const connected = once(server, 'secureConnection') as Promise<[tls.TLSSocket]>
  const client = tls.connect({
    socket: duplex,
    ca: cert,
    servername: 'localhost',
    allowHalfOpen: true,
  } as object)
  await exchange(
    client,
    connected.then(([stream]) => stream),
  )
  expect(client.authorized).toBe(true)
  client.destroy()
  await until(() => duplex.destroyed)
})

test('TLS: a server over a buffer event talks to a client of Node', async () => {
  const base = await running()
  let served: (stream: Duplex) => void
  const server = new Promise<Duplex>((resolve) => (served = resolve))
  const options = { isServer: true, key, cert, allowHalfOpen: true }
  const port = accept(base, (duplex) => served(new tls.TLSSocket(duplex, options)))
  const client = tls.connect({
    host: LOOPBACK,
    port,
    ca: cert,
    servername: 'localhost',
    allowHalfOpen: true,
  } as object)
  onTestFinished(() => void client.destroy())
  await exchange(client, server)
})

test('TLS: a certificate that is not trusted fails the client, and closes the buffer event', async () => {
  const base = await running()
  const server = tls.createServer({ key, cert })
  server.on('tlsClientError', () => {})
  const duplex = await dial(base, await portOf(server))
  const client = tls.connect({ socket: duplex, servername: 'localhost' })
  const [failure] = (await once(client, 'error')) as [Error & { code: string }]
  expect(failure.code).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
  await until(() => duplex.destroyed)
})

/** Responds with the body of the request. */
function echo(request: http.IncomingMessage, response: http.ServerResponse): void {
  response.setHeader('x-path', request.url ?? '')
  request.pipe(response)
}

interface Answer {
  path: unknown
  body: Buffer
}

function send(options: http.RequestOptions, body: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request({ method: 'POST', ...options }, (response) => {
      drain(response).then(
        (received) => resolve({ path: response.headers['x-path'], body: received }),
        reject,
      )
    })
    request.on('error', reject)
    request.end(body)
  })
}

test('HTTP: a keep-alive client over buffer events talks to a server of Node', async () => {
  const base = await running()
  const port = await portOf(http.createServer(echo))
  const made: Duplex[] = []
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1, timeout: 60_000 })
  agent.createConnection = () => {
    const stream = new BufferEvent(base, -1).connect({ host: LOOPBACK, port })
    return made[made.push(stream.toDuplex()) - 1] as Duplex
  }
  for (let round = 0; round < 5; round += 1) {
    const body = pattern(300_000 + round, round + 1)
    const { path, body: received } = await send({ agent, path: `/${round}`, host: LOOPBACK }, body)
    expect(path).toBe(`/${round}`)
    expect(received.equals(body)).toBe(true)
  }
  expect(made).toHaveLength(1)
  agent.destroy()
  await until(() => made[0]?.destroyed === true)
})

test('HTTP: a server over buffer events talks to clients of Node', async () => {
  const base = await running()
  const server = http.createServer({ keepAliveTimeout: 60_000 }, echo)
  const duplexes: Duplex[] = []
  const port = accept(base, (duplex) => {
    duplexes.push(duplex)
    server.emit('connection', duplex)
  })
  const agent = new http.Agent({ keepAlive: true })
  const before = openDescriptors()
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      send({ agent, host: LOOPBACK, port, path: `/${index}` }, pattern(100_000, index)),
    ),
  )
  for (const [index, { path, body }] of answers.entries()) {
    expect(path).toBe(`/${index}`)
    expect(body.equals(pattern(100_000, index))).toBe(true)
  }
  const again = await send({ agent, host: LOOPBACK, port, path: '/again' }, Buffer.from('short'))
  expect(String(again.body)).toBe('short')
  agent.destroy()
  await until(() => duplexes.every((duplex) => duplex.destroyed))
  await until(() => openDescriptors() <= before)
})

test('HTTP: a request without keep-alive ends the connection', async () => {
  const base = await running()
  const server = http.createServer(echo)
  let duplex: BufferEventDuplex | undefined
  const port = accept(base, (stream) => {
    duplex = stream
    server.emit('connection', stream)
  })
  const { body } = await send({ agent: false, host: LOOPBACK, port, path: '/' }, Buffer.from('once'))
  expect(String(body)).toBe('once')
  await until(() => duplex?.destroyed === true)
})

test('HTTP: an upgrade passes the stream on', async () => {
  const base = await running()
  const server = http.createServer()
  server.on('upgrade', (_request, stream: Duplex) => {
    stream.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
    stream.pipe(stream)
  })
  const port = await portOf(server)
  const duplex = await dial(base, port)
  const request = http.request({
    createConnection: () => duplex,
    headers: { connection: 'Upgrade', upgrade: 'echo' },
  })
  request.end()
  const [, stream] = (await once(request, 'upgrade')) as [http.IncomingMessage, Duplex]
  expect(stream).toBe(duplex)
  stream.write('raw bytes')
  expect(String((await once(stream, 'data'))[0])).toBe('raw bytes')
  stream.end()
  await until(() => duplex.destroyed)
})

test('HTTP/2: concurrent streams over one buffer event', async () => {
  const base = await running()
  const server = http2.createServer()
  server.on('stream', (stream) => {
    stream.respond({ ':status': 200 })
    stream.pipe(stream)
  })
  const port = await portOf(server)
  const duplex = await dial(base, port)
  const session = http2.connect('http://localhost', { createConnection: () => duplex })
  const bodies = [1, 2, 3].map((seed) => pattern(200_000, seed))
  const received = await Promise.all(
    bodies.map((body) => {
      const stream = session.request({ ':method': 'POST', ':path': '/' })
      stream.end(body)
      return drain(stream)
    }),
  )
  for (const [index, body] of bodies.entries()) expect(received[index]?.equals(body)).toBe(true)
  session.close()
  await until(() => duplex.destroyed)
})
