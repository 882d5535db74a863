import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { request } from 'node:http'
import { readFileSync } from 'node:fs'
import type { AddressInfo, Socket } from 'node:net'

import { expect, onTestFinished, test } from 'vitest'

import { parseRequest, parseRule } from '../../examples/http-connect.js'
import type { Running } from '../cli/support.js'
import { closedPort, LOOPBACK, pattern, serve, silentPort, until } from '../net/support.js'
import { client, example, portOf, stop, type Client } from './support.js'

const fixture = (name: string): Buffer =>
  readFileSync(new URL(`../fixtures/tls/${name}.pem`, import.meta.url))

/** The proxy, which allows every target on this machine by default. */
function proxy(...args: string[]): Running {
  return example('http-connect', '--allow', `${LOOPBACK}:*`, '--allow', 'localhost:*', ...args)
}

/** Sends a head, and waits for the answer and the end of the stream. */
async function answer(port: number, ...pieces: string[]): Promise<string> {
  const far = client({ port, host: LOOPBACK })
  for (const piece of pieces) far.socket.write(piece, 'latin1')
  await until(() => far.ended)
  expect(far.error).toBeUndefined()
  far.socket.end()
  return far.received.toString('latin1')
}

/** A tunnel that Node's HTTP client opens. */
function tunnel(
  port: number,
  path: string,
): Promise<{ status: number | undefined; socket: Socket; head: Buffer }> {
  return new Promise((resolve, reject) => {
    const asking = request({ host: LOOPBACK, port, method: 'CONNECT', path })
    asking.on('connect', ({ statusCode: status }, socket, head) => {
      onTestFinished(() => void socket.destroy())
      resolve({ status, socket, head })
    })
    asking.on('error', reject)
    asking.end()
  })
}

async function tunnelled(port: number, head: string): Promise<Client> {
  const far = client({ port, host: LOOPBACK })
  far.socket.write(head)
  await until(() => far.received.includes('\r\n\r\n'))
  expect(far.received.toString()).toMatch(/^HTTP\/1\.1 200 /)
  return far
}

test("Node's HTTP client tunnels TLS through the proxy", async () => {
  const server = createTlsServer({ key: fixture('key'), cert: fixture('cert') }, (peer) => {
    peer.on('error', () => {})
    peer.pipe(peer)
  })
  await new Promise<void>((resolve) => {
    server.listen(0, LOOPBACK, resolve)
  })
  onTestFinished(() => void server.close())
  const running = proxy()
  const target = `localhost:${(server.address() as AddressInfo).port}`
  const { status, socket, head } = await tunnel(await portOf(running), target)
  expect([status, head.length]).toEqual([200, 0])
  const secure = connectTls({ socket, ca: fixture('cert'), servername: 'localhost' })
  onTestFinished(() => void secure.destroy())
  const bytes = pattern(300_000, 1)
  const chunks: Buffer[] = []
  secure.on('data', (chunk: Buffer) => chunks.push(chunk))
  secure.end(bytes)
  await new Promise((resolve, reject) => {
    secure.once('end', resolve)
    secure.once('error', reject)
  })
  expect(Buffer.concat(chunks).equals(bytes)).toBe(true)
  await running.waitForOutput(new RegExp(`to ${target}`))
  await running.waitForOutput(/end \d+ bytes up/)
  await stop(running)
})

test('bytes directly after the head are sent first, and in order', async () => {
  const upstream = await serve((peer) => peer.pipe(peer))
  const running = proxy()
  const far = client({ port: await portOf(running), host: LOOPBACK })
  const bytes = pattern(100_000, 2)
  const head = Buffer.from(`CONNECT ${LOOPBACK}:${upstream} HTTP/1.1\r\nHost: x\r\n\r\n`)
  far.socket.end(Buffer.concat([head, bytes]))
  await until(() => far.ended)
  const end = far.received.indexOf('\r\n\r\n') + 4
  expect(far.received.toString('latin1', 0, end)).toBe('HTTP/1.1 200 Connection Established\r\n\r\n')
  expect(far.received.subarray(end).equals(bytes)).toBe(true)
  await running.waitForOutput(/end 100000 bytes up, 100000 bytes down/)
  await stop(running)
})

test('a head may arrive byte by byte', async () => {
  const upstream = await serve((peer) => peer.end('welcome'))
  const running = proxy()
  const far = client({ port: await portOf(running), host: LOOPBACK })
  far.socket.setNoDelay(true)
  for (const byte of `CONNECT ${LOOPBACK}:${upstream} HTTP/1.1\r\nHost: x\r\n\r\n`) {
    far.socket.write(byte)
    await new Promise(setImmediate)
  }
  await until(() => far.ended)
  expect(far.received.toString()).toBe('HTTP/1.1 200 Connection Established\r\n\r\nwelcome')
  await stop(running, 'SIGINT')
})

test('a host that is not allowed, or denied, results in 403 without a connect', async () => {
  let connected = 0
  const upstream = await serve((peer) => {
    connected += 1
    peer.end()
  })
  const running = proxy('--deny', 'localhost')
  const port = await portOf(running)
  for (const target of ['example.org:443', 'localhost:443', 'LOCALHOST.:443', '127.0.0.2:443', '[::1]:443']) {
    const response = await answer(port, `CONNECT ${target} HTTP/1.1\r\n\r\n`)
    expect(response).toMatch(
      /^HTTP\/1\.1 403 Forbidden\r\n(?:.+\r\n)*Connection: close\r\n(?:.+\r\n)*\r\n.* is not allowed\n$/,
    )
  }
  // The deny rule is for port 443 only.
  await tunnelled(port, `CONNECT localhost:${upstream} HTTP/1.1\r\n\r\n`)
  await until(() => connected > 0)
  expect(connected).toBe(1)
  await stop(running)
})

test('a host that does not answer results in 502 or 504', async () => {
  const running = proxy('--connect-timeout', '0.2')
  const port = await portOf(running)
  expect(await answer(port, `CONNECT ${LOOPBACK}:${closedPort()} HTTP/1.1\r\n\r\n`)).toMatch(
    /^HTTP\/1\.1 502 Bad Gateway\r\n(?:.+\r\n)*\r\nconnect ECONNREFUSED/,
  )
  expect(await answer(port, `CONNECT ${LOOPBACK}:${await silentPort()} HTTP/1.1\r\n\r\n`)).toMatch(
    /^HTTP\/1\.1 504 Gateway Timeout\r\n(?:.+\r\n)*\r\nconnect ETIMEDOUT/,
  )
  await stop(running)
})

test('a request that is not for a tunnel is refused', async () => {
  const running = proxy('--head-timeout', '0.2')
  const port = await portOf(running)
  const expected: [string, number][] = [
    ['GET / HTTP/1.1\r\n\r\n', 405],
    ['CONNECT / HTTP/1.1\r\n\r\n', 400],
    ['CONNECT a.example HTTP/1.1\r\n\r\n', 400],
    ['CONNECT a.example:0 HTTP/1.1\r\n\r\n', 400],
    ['CONNECT a.example:65536 HTTP/1.1\r\n\r\n', 400],
    ['CONNECT a.example:443 HTTP/2.0\r\n\r\n', 505],
    ['\x16\x03\x01\x02\r\n\r\n', 400],
    ['\r\n\r\n', 400],
    [`CONNECT a:1 HTTP/1.1\r\nX: ${'x'.repeat(9000)}\r\n\r\n`, 431],
    ['CONNECT a.example:443 HT', 408],
  ]
  for (const [head, status] of expected) {
    expect(await answer(port, head)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  }
  const quitter = client({ port, host: LOOPBACK })
  quitter.socket.end('CONNECT a.exam')
  await until(() => quitter.ended)
  expect(quitter.received.toString()).toMatch(/^HTTP\/1\.1 400 (?:.|\r\n)*is incomplete\n$/)
  await stop(running)
})

test('a client that disconnects does not affect others', async () => {
  const upstream = await serve((peer) => peer.pipe(peer))
  const running = proxy()
  const port = await portOf(running)
  for (const head of [
    '',
    'CONNECT',
    'GET / HTTP/1.1\r\n\r\n',
    `CONNECT ${LOOPBACK}:${upstream} HTTP/1.1\r\n\r\n`,
  ]) {
    const rude = client({ port, host: LOOPBACK })
    await new Promise((resolve) => {
      rude.socket.write(`${head}`, resolve)
    })
    rude.socket.resetAndDestroy()
  }
  const polite = await tunnelled(port, `CONNECT ${LOOPBACK}:${upstream} HTTP/1.1\r\n\r\n`)
  polite.socket.end('hello')
  await until(() => polite.ended)
  expect(polite.received.toString()).toMatch(/hello$/)
  await stop(running)
})

test('rules match hosts and ports', () => {
  const rules: [string, string, number, boolean][] = [
    ['example.org', 'example.org', 443, true],
    ['example.org', 'example.org', 80, false],
    ['Example.ORG:80', 'example.org', 80, true],
    ['example.org:*', 'example.org', 1, true],
    ['example.org', 'www.example.org', 443, false],
    ['*.example.org', 'www.example.org', 443, true],
    ['*.example.org', 'example.org', 443, false],
    ['*.example.org', 'badexample.org', 443, false],
    ['*', 'anything.example', 443, true],
    ['*:*', 'anything.example', 1, true],
    ['[::1]:8443', '::1', 8443, true],
    ['[::1]', '::2', 443, false],
  ]
  for (const [rule, host, port, wanted] of rules) {
    expect([rule, host, port, parseRule('--allow', rule)({ host, port })]).toEqual([rule, host, port, wanted])
  }
})

test('a request is parsed strictly', () => {
  expect(parseRequest('CONNECT Www.Example.org.:443 HTTP/1.1\r\nHost: other')).toEqual({
    host: 'www.example.org',
    port: 443,
  })
  expect(parseRequest('CONNECT [2001:db8::1]:8443 HTTP/1.0')).toEqual({ host: '2001:db8::1', port: 8443 })
})
