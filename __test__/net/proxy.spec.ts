import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect as connectNode } from 'node:net'
import { join } from 'node:path'

import { expect, onTestFinished, test } from 'vitest'

import {
  proxy,
  socket,
  type ProxyOptions,
  type ProxyProblem,
  type TcpProxy,
  type Upstream,
} from '../../net.js'
import {
  anyPort,
  closedPort,
  dial,
  drain,
  folder,
  LOOPBACK,
  openDescriptors,
  pattern,
  portOf,
  readToReset,
  serve,
  until,
} from './support.js'

/** Starts a proxy; it is closed after the test. */
async function started(options: Partial<ProxyOptions> & Pick<ProxyOptions, 'upstream'>): Promise<TcpProxy> {
  const made = await proxy({ listen: anyPort, threads: 2, ...options })
  onTestFinished(() => made.close().catch(() => {}))
  return made
}

function isDown({ kind }: ProxyProblem): boolean {
  return kind === 'upstreamDown'
}

/** The address of a server that sends back what it receives. */
async function echo(): Promise<{ host: string; port: number }> {
  return { host: LOOPBACK, port: await serve((peer) => peer.pipe(peer)) }
}

test('bytes pass in both directions on every thread, and are counted', async () => {
  const upstream = await echo()
  const running = await started({ upstream, threads: 3 })
  const bytes = pattern(1_000_000, 1)
  for (let round = 0; round < 5; round++) {
    const client = await dial(portOf(running.address))
    client.end(bytes)
    expect((await drain(client)).equals(bytes)).toBe(true)
  }
  await until(() => running.stats.open === 0)
  const sums = { accepted: 5, open: 0, refused: 0, failed: 0, bytesAToB: 5_000_000, bytesBToA: 5_000_000 }
  const { threads, upstreams, ...total } = running.stats
  expect(total).toEqual({ ...sums, timedOut: 0, acceptPauses: 0 })
  expect(threads).toHaveLength(3)
  expect(running.threads).toBe(3)
  const { accepted, ...rest } = sums
  expect(upstreams).toEqual([
    {
      ...rest,
      name: `${LOOPBACK}:${upstream.port}`,
      weight: 1,
      state: 'up',
      connected: accepted,
      connectMs: expect.any(Number),
      longestConnectMs: expect.any(Number),
    },
  ])
  expect(upstreams[0]?.connectMs).toBeGreaterThan(0)
})

test('bytes of an open connection are counted', async () => {
  const running = await started({ upstream: await echo() })
  const client = await dial(portOf(running.address))
  client.write('12345')
  await until(() => running.stats.bytesBToA === 5)
  expect(running.stats).toMatchObject({ accepted: 1, open: 1, bytesAToB: 5 })
  client.destroy()
})

test('a host name is an upstream with all its addresses', async () => {
  const { port } = await echo()
  const running = await started({ upstream: { host: 'localhost', port } })
  const client = await dial(portOf(running.address))
  client.end('over a name')
  expect(String(await drain(client))).toBe('over a name')
  expect(running.stats.upstreams[0]).toMatchObject({ name: `localhost:${port}`, connected: 1 })
})

test('an upstream whose path is undefined has a host and a port', async () => {
  const { port } = await echo()
  const upstream = { host: LOOPBACK, port, path: undefined } as unknown as Upstream
  const running = await started({ upstream })
  expect(running.stats.upstreams).toMatchObject([{ name: `${LOOPBACK}:${port}` }])
})

test('the length of a list of upstreams is checked before its elements', async () => {
  const upstream: Upstream[] = Array.from({ length: 1025 })
  await expect(proxy({ listen: anyPort, upstream })).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
  await expect(proxy({ listen: anyPort, upstream: upstream.slice(1) })).rejects.toMatchObject({
    code: 'ERR_INVALID_ARG_TYPE',
  })
})

test('failed connects and an upstream that is passed over are reported', async () => {
  const problems: ProxyProblem[] = []
  const dead = { host: LOOPBACK, port: closedPort() }
  const alive = await echo()
  const running = await started({
    upstream: [dead, alive],
    health: { failures: 2, backoff: 3_600_000 },
    onProblem: (problem) => problems.push(problem),
  })
  while (!problems.some(isDown)) {
    const client = await dial(portOf(running.address))
    client.end('x')
    expect(String(await drain(client))).toBe('x')
  }
  const name = `${LOOPBACK}:${dead.port}`
  const error = expect.objectContaining({ code: 'ECONNREFUSED', syscall: 'connect' })
  expect(problems[0]).toEqual({ kind: 'connectFailed', upstream: name, error, times: 1 })
  expect(problems.find(isDown)).toEqual({
    kind: 'upstreamDown',
    upstream: name,
    error,
    retryAfter: 3_600_000,
  })
  expect(running.stats.upstreams).toMatchObject([
    { state: 'down', connected: 0, retryAfter: expect.any(Number) },
    { state: 'up', refused: 0 },
  ])
})

test('the average of connects is 0 before the first one, and never above the longest', async () => {
  const running = await started({ upstream: await echo() })
  const [before] = running.stats.upstreams
  expect(before).toMatchObject({ state: 'up', connected: 0, connectMs: 0, longestConnectMs: 0 })
  expect(before).not.toHaveProperty('retryAfter')
  for (let round = 0; round < 3; round++) {
    const client = await dial(portOf(running.address))
    client.end('x')
    await drain(client)
  }
  const [{ connected = 0, connectMs = 0, longestConnectMs = 0 } = {}] = running.stats.upstreams
  expect(connected).toBe(3)
  expect(connectMs).toBeGreaterThan(0)
  expect(connectMs).toBeLessThanOrEqual(longestConnectMs)
})

test('setUpstreams() replaces the list while connections continue', async () => {
  const [first, second] = [await echo(), await serve((peer) => peer.end('second'))]
  const running = await started({ upstream: first })
  const old = await dial(portOf(running.address))
  old.write('still')
  await until(() => running.stats.bytesBToA === 5)
  await running.setUpstreams([{ host: LOOPBACK, port: second, weight: 2 }])
  // Each thread uses the list from its next pass on.
  for (;;) {
    const client = await dial(portOf(running.address))
    client.end()
    if (String(await drain(client)) === 'second') break
  }
  old.end(' here')
  expect(String(await drain(old))).toBe('still here')
  expect(running.stats.upstreams).toMatchObject([{ name: `${LOOPBACK}:${second}`, weight: 2 }])
  await expect(running.setUpstreams([])).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
  expect(running.stats.upstreams).toHaveLength(1)
})

test('a drain lets connections end, and refuses further ones', async () => {
  const running = await started({ upstream: await echo() })
  const client = await dial(portOf(running.address))
  client.write('one')
  await until(() => running.stats.bytesBToA === 3)
  const drained = running.drain()
  for (;;) {
    const refused: unknown = await dial(portOf(running.address)).then(
      (another) => another.destroy() && undefined,
      (error: unknown) => error,
    )
    if (refused !== undefined) {
      expect(refused).toMatchObject({ code: 'ECONNREFUSED' })
      break
    }
  }
  client.end('two')
  expect(String(await drain(client))).toBe('onetwo')
  await drained
  expect(running.stats).toMatchObject({ open: 0, failed: 0 })
})

test('a drain ends after its timeout', async () => {
  const running = await started({ upstream: await echo() })
  const client = await dial(portOf(running.address))
  client.write('one')
  await until(() => running.stats.bytesBToA === 3)
  const received = readToReset(client)
  const start = performance.now()
  await running.drain({ timeout: 60 })
  expect(performance.now() - start).toBeGreaterThanOrEqual(59)
  expect(String(await received)).toBe('one')
})

test('close() leaves no descriptor open, and is idempotent', async () => {
  const upstream = await echo()
  const before = openDescriptors()
  const running = await proxy({ listen: anyPort, upstream, threads: 4 })
  expect(openDescriptors()).toBeGreaterThan(before + 4)
  await running.close()
  await running.close()
  await running.closed
  expect(openDescriptors()).toBe(before)
  // Every method of a closed proxy works.
  expect(running.stats).toMatchObject({ accepted: 0, open: 0 })
  await running.drain()
  await running.setUpstreams(upstream)
})

test('a proxy is closed at the end of its scope', async () => {
  let port = 0
  {
    await using running = await proxy({ listen: anyPort, upstream: await echo(), threads: 1 })
    port = portOf(running.address)
  }
  await expect(dial(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('a total limit applies to all connections together', async () => {
  const totalLimit = { rate: 200_000, burst: 20_000 }
  const running = await started({ upstream: await echo(), threads: 2, totalLimit })
  const bytes = pattern(60_000, 1)
  const start = performance.now()
  const back = await Promise.all(
    [1, 2].map(async () => {
      const client = await dial(portOf(running.address))
      client.end(bytes)
      return await drain(client)
    }),
  )
  expect(performance.now() - start).toBeGreaterThanOrEqual(490)
  expect(back.every((one) => one.equals(bytes))).toBe(true)
})

test('a bound path is removed, and an inherited descriptor is used', async () => {
  const upstream = await echo()
  const path = join(folder(), 'socket')
  const atPath = await started({ upstream, listen: { path } })
  expect(atPath.address).toEqual({ path })
  expect(existsSync(path)).toBe(true)
  await atPath.close()
  expect(existsSync(path)).toBe(false)

  const fd = socket.listen(anyPort)
  const inherited = await started({ upstream, listen: { fd } })
  const client = await dial(portOf(inherited.address))
  client.end('x')
  expect(String(await drain(client))).toBe('x')
})

test('a path is removed at the start of a drain, and the path of a successor stays', async () => {
  const upstream = await echo()
  const path = join(folder(), 'socket')
  const first = await started({ upstream, listen: { path } })
  const client = connectNode(path)
  client.write('one')
  await until(() => first.stats.bytesBToA === 3)
  const drained = first.drain()
  await until(() => !existsSync(path), 'the end of the path')
  const second = await started({ upstream, listen: { path } })
  client.end('two')
  expect(String(await drain(client))).toBe('onetwo')
  await drained
  expect(existsSync(path)).toBe(true)
  await second.close()
  expect(existsSync(path)).toBe(false)
})

test('a client that closes while its upstream does not answer ends the connect', async () => {
  const silent = socket.listen({ ...anyPort, backlog: 1 })
  onTestFinished(() => socket.close(silent))
  const port = portOf(socket.address(silent))
  // Two connections fill the queue of the listener, which then ignores further ones.
  for (let index = 0; index < 2; index++) {
    const fd = socket.connect({ host: LOOPBACK, port })
    onTestFinished(() => socket.close(fd))
  }
  const running = await started({ upstream: { host: LOOPBACK, port }, connectTimeout: 0 })
  const clients = [await dial(portOf(running.address)), await dial(portOf(running.address))]
  await until(() => running.stats.open === 2)
  clients[0]?.resetAndDestroy()
  clients[1]?.destroy()
  await until(() => running.stats.open === 0, 'the end of both connects')
  expect(running.stats).toMatchObject({ accepted: 2, refused: 2, failed: 0 })
  expect(running.stats.upstreams).toMatchObject([{ open: 0, connected: 0, refused: 0 }])
})

test('a descriptor that does not listen is refused, and the caller keeps it', async () => {
  const [one, other] = socket.pair()
  await expect(proxy({ listen: { fd: one }, upstream })).rejects.toMatchObject({ code: 'EINVAL' })
  socket.close(one)
  socket.close(other)
})

test('an address in use is refused, and the error has the address', async () => {
  const upstream = await echo()
  const running = await started({ upstream })
  const before = openDescriptors()
  const port = portOf(running.address)
  for (const threads of [1, 3]) {
    await expect(proxy({ listen: { host: LOOPBACK, port }, upstream, threads })).rejects.toMatchObject({
      code: 'EADDRINUSE',
      syscall: 'bind',
      address: LOOPBACK,
      port,
    })
  }
  expect(openDescriptors()).toBe(before)
})

test.each([1, 4])('with %i threads no other socket can listen at the address', async (threads) => {
  const running = await started({ upstream, threads })
  const place = { host: LOOPBACK, port: portOf(running.address) }
  for (const reusePort of [true, false]) {
    expect(() => socket.listen({ ...place, reusePort })).toThrow(
      expect.objectContaining({ code: 'EADDRINUSE' }),
    )
  }
})

test('with reusePort another socket that sets it can listen at the address', async () => {
  const listening = { ...anyPort, reusePort: true }
  const running = await started({ upstream, listen: listening, threads: 2 })
  const port = portOf(running.address)
  socket.close(socket.listen({ ...listening, port }))
  expect(() => socket.listen({ ...anyPort, port })).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }))
})

test.each([1, 3])(
  'with %i threads, connections beyond maxConnections wait for others to end',
  async (threads) => {
    const greeting = await serve((peer) => void peer.pipe(peer).write('x'))
    const running = await started({
      upstream: { host: LOOPBACK, port: greeting },
      threads,
      maxConnections: 2,
    })
    const port = portOf(running.address)
    const first = await Promise.all([dial(port), dial(port)])
    await Promise.all(first.map((client) => once(client, 'data')))
    const waiting = await dial(port)
    const arrival = once(waiting, 'data')
    await until(() => running.stats.acceptPauses > 0)
    expect(running.stats).toMatchObject({ accepted: 2, open: 2 })
    first[0]?.destroy()
    expect(String(await arrival)).toBe('x')
    expect(running.stats).toMatchObject({ accepted: 3, open: 2 })
  },
)

test('a half-closed connection without bytes is closed after halfCloseTimeout, and counted', async () => {
  const silent = await serve(() => {})
  const running = await started({ upstream: { host: LOOPBACK, port: silent }, halfCloseTimeout: 50 })
  const [open, half] = [await dial(portOf(running.address)), await dial(portOf(running.address))]
  await until(() => running.stats.open === 2)
  half.end()
  expect((await readToReset(half)).length).toBe(0)
  await until(() => running.stats.open === 1)
  expect(running.stats).toMatchObject({ timedOut: 1, failed: 0 })
  open.destroy()
})

const upstream = { host: LOOPBACK, port: 9 }
const wrong: [string, string, object][] = [
  ['ERR_INVALID_ARG_TYPE', 'options.listen', { upstream }],
  ['ERR_OUT_OF_RANGE', 'options.listen.host', { listen: { host: 'example.org', port: 1 }, upstream }],
  ['ERR_OUT_OF_RANGE', 'options.listen.port', { listen: { host: LOOPBACK, port: 65_536 }, upstream }],
  ['ERR_OUT_OF_RANGE', 'options.listen.fd', { listen: { fd: -1 }, upstream }],
  ['ERR_OUT_OF_RANGE', 'options.listen.batch', { listen: { ...anyPort, batch: 0 }, upstream }],
  ['ERR_INVALID_ARG_TYPE', 'options.upstream', { listen: anyPort }],
  ['ERR_OUT_OF_RANGE', 'options.upstream', { listen: anyPort, upstream: [] }],
  ['ERR_OUT_OF_RANGE', 'options.upstream', { listen: anyPort, upstream: [upstream, upstream] }],
  ['ERR_OUT_OF_RANGE', 'options.upstream.weight', { listen: anyPort, upstream: { ...upstream, weight: 0 } }],
  ['ERR_OUT_OF_RANGE', 'options.threads', { listen: anyPort, upstream, threads: 0 }],
  ['ERR_OUT_OF_RANGE', 'options.threads', { listen: anyPort, upstream, threads: Number.NaN }],
  ['ERR_OUT_OF_RANGE', 'options.threads', { listen: anyPort, upstream, threads: 1025 }],
  ['ERR_INVALID_ARG_TYPE', 'options.threads', { listen: anyPort, upstream, threads: '2' }],
  ['ERR_OUT_OF_RANGE', 'options.balance', { listen: anyPort, upstream, balance: 'random' }],
  ['ERR_OUT_OF_RANGE', 'options.connectTimeout', { listen: anyPort, upstream, connectTimeout: -1 }],
  ['ERR_OUT_OF_RANGE', 'options.idleTimeout', { listen: anyPort, upstream, idleTimeout: Number.NaN }],
  ['ERR_OUT_OF_RANGE', 'options.halfCloseTimeout', { listen: anyPort, upstream, halfCloseTimeout: -1 }],
  ['ERR_OUT_OF_RANGE', 'options.maxConnections', { listen: anyPort, upstream, maxConnections: -1 }],
  ['ERR_OUT_OF_RANGE', 'options.maxConnections', { listen: anyPort, upstream, maxConnections: 1.5 }],
  ['ERR_INVALID_ARG_TYPE', 'options.maxConnections', { listen: anyPort, upstream, maxConnections: '9' }],
  ['ERR_OUT_OF_RANGE', 'options.limit.rate', { listen: anyPort, upstream, limit: { rate: 0 } }],
  [
    'ERR_OUT_OF_RANGE',
    'options.totalLimit.burst',
    { listen: anyPort, upstream, totalLimit: { rate: 1, burst: 0 } },
  ],
  ['ERR_INVALID_ARG_TYPE', 'options', { listen: anyPort, upstream, totalLimit: 5 }],
  ['ERR_OUT_OF_RANGE', 'options.proxyProtocol', { listen: anyPort, upstream, proxyProtocol: 3 }],
  ['ERR_OUT_OF_RANGE', 'options.health.failures', { listen: anyPort, upstream, health: { failures: 0 } }],
  [
    'ERR_OUT_OF_RANGE',
    'options.health.maxBackoff',
    { listen: anyPort, upstream, health: { backoff: 2, maxBackoff: 1 } },
  ],
  ['ERR_INVALID_ARG_TYPE', 'options.onProblem', { listen: anyPort, upstream, onProblem: 1 }],
]

test.each(wrong)('%s for %s', async (code, what, options) => {
  await expect(proxy(options as ProxyOptions)).rejects.toMatchObject({
    code,
    message: expect.stringContaining(`"${what}`),
  })
})
