import { Socket } from 'node:net'

import { expect, test } from 'vitest'

import { closedPort, deferred, dial, drain, pattern, serve, sleep } from '../net/support.js'
import { eventBase, type Running } from './support.js'

/** A proxy that runs, and its port. */
async function proxy(upstream: number, ...more: string[]): Promise<{ running: Running; port: number }> {
  const target = ['--listen', '127.0.0.1:0', '--upstream', `127.0.0.1:${upstream}`]
  const running = eventBase('proxy', ...target, ...more)
  const [, port] = await running.said(/listening at 127\.0\.0\.1:(\d+), forwarding to 127\.0\.0\.1:\d+ \(\w/)
  return { running, port: Number(port) }
}

test('forwards both ways until SIGINT, and ends with 0', async () => {
  const upstream = await serve((peer) => peer.pipe(peer))
  const { running, port } = await proxy(upstream, '--stats')
  const bytes = pattern(3_000_000, 1)
  for (let round = 0; round < 3; round++) {
    const client = await dial(port)
    client.end(bytes)
    expect((await drain(client)).equals(bytes)).toBe(true)
  }
  running.process.kill('SIGINT')
  const { code, err } = await running.ended
  expect(code).toBe(0)
  expect(err).toContain(
    'total: 3 accepted, 0 open, 0 refused, 0 failed, 9000000 bytes up, 9000000 bytes down',
  )
})

test('SIGTERM refuses newcomers and lets what is under way end', async () => {
  const upstream = await serve((peer) => peer.pipe(peer))
  const { running, port } = await proxy(upstream)
  const client = await dial(port)
  client.write('one')
  await new Promise((resolve) => {
    client.once('data', resolve)
  })
  running.process.kill('SIGTERM')
  // Whoever comes before the signal was heard is still let in.
  for (;;) {
    const newcomer: unknown = await dial(port).catch((error: unknown) => error)
    if (!(newcomer instanceof Socket)) {
      expect(newcomer).toMatchObject({ code: 'ECONNREFUSED' })
      break
    }
    newcomer.destroy()
  }
  expect(running.process.exitCode).toBeNull()
  client.end('two')
  expect(String(await drain(client))).toBe('two')
  expect(await running.ended).toMatchObject({ code: 0, err: '' })
})

test('a second signal ends what is under way at once', async () => {
  const arrived = deferred<unknown>()
  const upstream = await serve((peer) => peer.once('data', arrived.resolve))
  const { running, port } = await proxy(upstream)
  const client = await dial(port)
  client.write('x')
  await arrived.promise
  running.process.kill('SIGINT')
  await sleep(100)
  expect(running.process.exitCode).toBeNull()
  running.process.kill('SIGTERM')
  expect((await drain(client)).length).toBe(0)
  expect((await running.ended).code).toBe(0)
})

test('draining takes no longer than it may', async () => {
  const arrived = deferred<unknown>()
  const upstream = await serve(arrived.resolve)
  const { running, port } = await proxy(upstream, '--drain-timeout', '0.2')
  const client = await dial(port)
  client.write('x')
  await arrived.promise
  const start = performance.now()
  running.process.kill('SIGINT')
  expect((await drain(client)).length).toBe(0)
  expect((await running.ended).code).toBe(0)
  expect(performance.now() - start).toBeGreaterThanOrEqual(199)
})

test('an upstream that refuses is told, and the proxy goes on', async () => {
  const { running, port } = await proxy(closedPort(), '--stats')
  for (let round = 0; round < 2; round++) {
    const client = await dial(port)
    expect((await drain(client)).length).toBe(0)
  }
  running.process.kill('SIGINT')
  const { code, err } = await running.ended
  expect(code).toBe(0)
  expect(err).toMatch(/upstream: ECONNREFUSED.*connect/)
  expect(err).toContain('total: 2 accepted, 0 open, 2 refused')
})

test('silence is ended by the idle timeout', async () => {
  const upstream = await serve(() => {})
  const { running, port } = await proxy(upstream, '--idle-timeout', '0.1')
  const start = performance.now()
  expect((await drain(await dial(port))).length).toBe(0)
  expect(performance.now() - start).toBeGreaterThanOrEqual(95)
  running.process.kill('SIGINT')
  expect((await running.ended).code).toBe(0)
})

test('an address in use is told, with exit code 1', async () => {
  const taken = await serve(() => {})
  const { code, out, err } = await eventBase('proxy', `--listen=127.0.0.1:${taken}`, '--upstream=127.0.0.1:9')
    .ended
  expect(err).toMatch(/^event-base: EADDRINUSE.*bind/)
  expect([code, out]).toEqual([1, ''])
})
