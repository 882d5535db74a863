/** The examples that move streams: the echo server, the proxy and the bridge. */

import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'

import { expect, onTestFinished, test } from 'vitest'

import { closedPort, folder, LOOPBACK, pattern, serve, sleep, until } from '../net/support.js'
import { client, example, portOf, stop } from './support.js'

/** Sends all bytes, ends, and returns the answer. */
async function echoed(
  target: { port: number; host: string } | { path: string },
  bytes: Buffer,
): Promise<Buffer> {
  const { socket } = client(target)
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.end(bytes)
  await new Promise((resolve) => {
    socket.once('end', resolve)
  })
  return Buffer.concat(chunks)
}

test('echo-server echoes more than the system buffers, to a client that reads late', async () => {
  const running = example('echo-server', '--listen', '127.0.0.1:0')
  const port = await portOf(running)
  const bytes = pattern(20_000_000, 1)
  const far = client({ port, host: LOOPBACK })
  far.socket.pause()
  far.socket.write(bytes)
  // Usually long enough to fill the buffers in between; the test holds for any pause.
  await sleep(300)
  const chunks: Buffer[] = []
  let count = 0
  far.socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    count += chunk.length
  })
  far.socket.resume()
  await until(() => count === bytes.length)
  expect(Buffer.concat(chunks).equals(bytes)).toBe(true)
  await stop(running, 'SIGINT')
})

test('echo-server continues after a client has reset its connection', async () => {
  const running = example('echo-server')
  const port = await portOf(running)
  const rude = client({ port, host: LOOPBACK })
  rude.socket.write('hello')
  await until(() => rude.received.length === 5)
  rude.socket.resetAndDestroy()
  await running.waitForOutput(/ECONNRESET/)
  expect(String(await echoed({ port, host: LOOPBACK }, Buffer.from('still here')))).toBe('still here')
  running.process.kill('SIGTERM')
  expect(await running.ended).toMatchObject({ code: 0, err: expect.stringMatching(/^ECONNRESET.*\n$/) })
})

test('echo-server ends while clients are connected', async () => {
  const running = example('echo-server')
  const far = client({ port: await portOf(running), host: LOOPBACK })
  far.socket.write('x')
  await until(() => far.received.length === 1)
  await stop(running)
  await until(() => far.ended || far.error !== undefined)
})

test('proxy forwards, reports connections, and continues after an upstream has refused', async () => {
  const upstream = await serve((peer) => peer.pipe(peer))
  const running = example('proxy', '--listen', '127.0.0.1:0', '--upstream', `127.0.0.1:${upstream}`)
  const bytes = pattern(500_000, 1)
  expect((await echoed({ port: await portOf(running), host: LOOPBACK }, bytes)).equals(bytes)).toBe(true)
  await running.waitForOutput(/end 500000 bytes to the upstream, 500000 bytes to the client/)
  await stop(running, 'SIGINT')

  const alone = example('proxy', '--listen', '127.0.0.1:0', '--upstream', `127.0.0.1:${closedPort()}`)
  const far = client({ port: await portOf(alone), host: LOOPBACK })
  await until(() => far.ended || far.error !== undefined)
  await alone.waitForOutput(/ECONNREFUSED/)
  alone.process.kill('SIGTERM')
  expect(await alone.ended).toMatchObject({ code: 0 })
})

test('unix-bridge forwards from TCP to a unix socket', async () => {
  const path = join(folder(), 'service')
  const server = createServer({ allowHalfOpen: true }, (peer) => peer.pipe(peer))
  await new Promise<void>((resolve) => {
    server.listen(path, resolve)
  })
  onTestFinished(() => void server.close())
  const running = example('unix-bridge', '--listen', '127.0.0.1:0', '--to', `unix:${path}`)
  const port = await portOf(running)
  const bytes = pattern(1_000_000, 1)
  expect((await echoed({ port, host: LOOPBACK }, bytes)).equals(bytes)).toBe(true)
  await stop(running)
  expect(existsSync(path)).toBe(true)
})

test('unix-bridge forwards from a unix socket to TCP, and removes the socket', async () => {
  const upstream = await serve((peer) => peer.pipe(peer))
  const path = join(folder(), 'socket')
  const running = example('unix-bridge', '--listen', `unix:${path}`, '--to', `127.0.0.1:${upstream}`)
  await running.waitForOutput(/listening at unix:/)
  const bytes = pattern(1_000_000, 2)
  expect((await echoed({ path }, bytes)).equals(bytes)).toBe(true)
  await stop(running, 'SIGINT')
  expect(existsSync(path)).toBe(false)
})

test('two unix-bridges connect through an abstract name', async () => {
  const upstream = await serve((peer) => peer.pipe(peer))
  const name = `unix:@event-base-bridge-${process.pid}`
  const inner = example('unix-bridge', '--listen', name, '--to', `127.0.0.1:${upstream}`)
  await inner.waitForOutput(/listening at unix:@/)
  const outer = example('unix-bridge', '--listen', '127.0.0.1:0', '--to', name)
  const bytes = pattern(1_000_000, 3)
  const port = await portOf(outer)
  expect((await echoed({ port, host: LOOPBACK }, bytes)).equals(bytes)).toBe(true)
  await stop(outer)
  await stop(inner)
})

test('unix-bridge closes the client if the target refuses', async () => {
  const running = example('unix-bridge', '--listen', '127.0.0.1:0', '--to', 'unix:/nonexistent/service')
  const far = client({ port: await portOf(running), host: LOOPBACK })
  await until(() => far.ended || far.error !== undefined)
  await running.waitForOutput(/connect ENOENT/)
  running.process.kill('SIGTERM')
  expect(await running.ended).toMatchObject({ code: 0 })
})
