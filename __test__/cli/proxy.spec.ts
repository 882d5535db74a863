import { once } from 'node:events'
import { Socket, connect as connectNode, createServer } from 'node:net'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { expect, onTestFinished, test } from 'vitest'

import { socket } from '../../net.js'
import {
  closedPort,
  deferred,
  dial,
  dialToReset,
  drain,
  folder,
  pattern,
  portOf,
  serve,
  sleep,
  until,
} from '../net/support.js'
import { eventBase, Running } from './support.js'

/** The lines of JSON on stderr. */
function reported(running: Running): Record<string, unknown>[] {
  return running.err
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

/** Expects that a connection is reset: its stream is cut, and does not look complete. */
function isReset(client: Socket): Promise<void> {
  return expect(drain(client)).rejects.toMatchObject({ code: 'ECONNRESET' })
}

/** Connects until a connect is refused. Connections are accepted until the handler of the signal runs. */
async function refusal(port: number): Promise<void> {
  for (;;) {
    const another: unknown = await dial(port).catch((error: unknown) => error)
    if (!(another instanceof Socket)) {
      expect(another).toMatchObject({ code: expect.stringMatching(/^ECONN(?:REFUSED|RESET)$/) })
      return
    }
    another.destroy()
  }
}

/** Starts the command; resolves when it listens. */
async function proxy(
  upstreams: number | string[],
  ...more: string[]
): Promise<{ running: Running; port: number }> {
  const list = typeof upstreams === 'number' ? [`127.0.0.1:${upstreams}`] : upstreams
  const target = ['--listen', '127.0.0.1:0', ...list.flatMap((one) => ['--upstream', one])]
  const running = eventBase('proxy', ...target, ...more)
  const [, port] = await running.waitForOutput(
    /listening at 127\.0\.0\.1:(\d+), forwarding to \S+.* \(\d+ thread/,
  )
  return { running, port: Number(port) }
}

test('the command forwards in both directions until SIGINT, and exits with 0', async () => {
  const upstream = await serve((peer) => peer.pipe(peer))
  const { running, port } = await proxy(upstream, '--stats')
  const bytes = pattern(3_000_000, 1)
  for (let round = 0; round < 3; round++) {
    const client = await dial(port)
    client.end(bytes)
    expect((await drain(client)).equals(bytes)).toBe(true)
  }
  running.process.kill('SIGINT')
  const { code } = await running.ended
  expect(code).toBe(0)
  const sums = { open: 0, refused: 0, failed: 0, bytesAToB: 9_000_000, bytesBToA: 9_000_000 }
  expect(reported(running).at(-1)).toMatchObject({
    ...sums,
    type: 'total',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    accepted: 3,
    upstreams: [{ ...sums, name: `127.0.0.1:${upstream}`, state: 'up', connected: 3 }],
  })
})

test('--stats writes a line of JSON while the traffic changes', async () => {
  const upstream = await serve((peer) => peer.pipe(peer))
  const { running, port } = await proxy(upstream, '--stats')
  const client = await dial(port)
  client.write('12345')
  await running.waitForOutput(/"type":"stats".*"bytesBToA":5\b/)
  expect(reported(running).at(-1)).toMatchObject({ type: 'stats', accepted: 1, open: 1, bytesAToB: 5 })
  running.process.kill('SIGINT')
  client.end()
  expect((await running.ended).code).toBe(0)
})

test.each(['SIGTERM', 'SIGHUP'] as const)(
  '%s closes the listener and lets open connections end',
  async (signal) => {
    const upstream = await serve((peer) => peer.pipe(peer))
    const { running, port } = await proxy(upstream)
    const client = await dial(port)
    client.write('one')
    await new Promise((resolve) => {
      client.once('data', resolve)
    })
    running.process.kill(signal)
    await refusal(port)
    expect(running.process.exitCode).toBeNull()
    client.end('two')
    expect(String(await drain(client))).toBe('two')
    expect(await running.ended).toMatchObject({ code: 0, err: '' })
  },
)

test('signals that arrive while the process exits do not change its exit code', async () => {
  const running = eventBase('proxy', '--listen', '127.0.0.1:0', '--upstream', `127.0.0.1:${closedPort()}`)
  await running.waitForOutput(/listening/)
  running.process.kill('SIGHUP')
  const more = setInterval(() => running.process.kill('SIGTERM'), 1)
  onTestFinished(() => clearInterval(more))
  expect(await running.ended).toMatchObject({ code: 0, signal: null })
})

test('a second signal closes open connections immediately', async () => {
  const arrived = deferred<unknown>()
  const upstream = await serve((peer) => peer.once('data', arrived.resolve))
  const { running, port } = await proxy(upstream)
  const client = await dial(port)
  client.write('x')
  await arrived.promise
  running.process.kill('SIGINT')
  await sleep(100)
  expect(running.process.exitCode).toBeNull()
  const reset = isReset(client)
  running.process.kill('SIGTERM')
  await reset
  expect((await running.ended).code).toBe(0)
})

test('a drain ends after --drain-timeout', async () => {
  const arrived = deferred<unknown>()
  const upstream = await serve(arrived.resolve)
  const { running, port } = await proxy(upstream, '--drain-timeout', '0.2')
  const client = await dial(port)
  client.write('x')
  await arrived.promise
  const reset = isReset(client)
  const start = performance.now()
  running.process.kill('SIGINT')
  await reset
  expect((await running.ended).code).toBe(0)
  expect(performance.now() - start).toBeGreaterThanOrEqual(199)
})

/** 30 days, which do not fit in 31 bits of milliseconds, and the longest duration. */
test.each(['2592000', '1000000000'])('durations of %s seconds are not wrapped', async (seconds) => {
  const upstream = await serve((peer) => peer.pipe(peer))
  const durations = ['connect', 'idle', 'drain'].map((name) => `--${name}-timeout=${seconds}`)
  const { running, port } = await proxy(upstream, ...durations)
  const client = await dial(port)
  const echo = async (text: string): Promise<void> => {
    client.write(text)
    const [back] = (await once(client, 'data')) as [Buffer]
    expect(String(back)).toBe(text)
  }
  await echo('before')
  running.process.kill('SIGTERM')
  await refusal(port)
  for (const text of ['one', 'two', 'three']) {
    await echo(text)
    await sleep(50)
  }
  client.end()
  expect(await running.ended).toMatchObject({ code: 0, err: '' })
})

test('an upstream that refuses is reported, and the proxy continues', async () => {
  const { running, port } = await proxy(closedPort())
  for (let round = 0; round < 3; round++) {
    await dialToReset(port)
  }
  await running.waitForOutput(/is passed over for 1 s/)
  running.process.kill('SIGINT')
  const { code, err } = await running.ended
  expect(code).toBe(0)
  expect(err).toMatch(/^upstream 127\.0\.0\.1:\d+: connect ECONNREFUSED 127\.0\.0\.1:\d+$/m)
  expect(err).toMatch(/^upstream 127\.0\.0\.1:\d+ is passed over for 1 s: connect ECONNREFUSED/m)
})

test('with --stats problems are lines of JSON too', async () => {
  const dead = closedPort()
  const { running, port } = await proxy(dead, '--stats')
  await dialToReset(port)
  await running.waitForOutput(/connectFailed/)
  running.process.kill('SIGINT')
  expect((await running.ended).code).toBe(0)
  const lines = reported(running)
  expect(lines.find(({ type }) => type === 'problem')).toMatchObject({
    kind: 'connectFailed',
    upstream: `127.0.0.1:${dead}`,
    code: 'ECONNREFUSED',
    times: 1,
  })
  expect(lines.at(-1)).toMatchObject({ type: 'total', accepted: 1, refused: 1 })
})

test('several upstreams share by weight, and one that refuses is replaced by another', async () => {
  const one = await serve((peer) => peer.end('1'))
  const two = await serve((peer) => peer.end('2'))
  const dead = closedPort()
  const { running, port } = await proxy([
    `127.0.0.1:${one}`,
    `localhost:${two},weight=2`,
    `127.0.0.1:${dead}`,
  ])
  const answers: string[] = []
  for (let round = 0; round < 12; round++) {
    const client = await dial(port)
    client.end()
    answers.push(String(await drain(client)))
  }
  expect(answers.every((answer) => answer !== '')).toBe(true)
  expect(answers.filter((answer) => answer === '2').length).toBeGreaterThan(answers.length / 2)
  expect(answers).toContain('1')
  running.process.kill('SIGINT')
  expect((await running.ended).code).toBe(0)
})

test('--balance least-connections chooses the upstream with the fewest connections', async () => {
  const servers = [await serve((peer) => peer.write('1')), await serve((peer) => peer.write('2'))]
  const list = servers.map((port) => `127.0.0.1:${port}`)
  const { running, port } = await proxy(list, '--balance', 'least-connections')
  const greeted = async (): Promise<{ client: Socket; greeting: string }> => {
    const client = await dial(port)
    const greeting = await new Promise<Buffer>((resolve) => {
      client.once('data', resolve)
    })
    return { client, greeting: String(greeting) }
  }
  const held = []
  for (let round = 0; round < 6; round++) held.push(await greeted())
  expect(held.filter(({ greeting }) => greeting === '1')).toHaveLength(3)
  running.process.kill('SIGINT')
  running.process.kill('SIGTERM')
  expect((await running.ended).code).toBe(0)
})

test('--proxy-protocol sends the address of the client to the upstream', async () => {
  const received: Promise<Buffer>[] = []
  const upstream = await serve((peer) => received.push(drain(peer)))
  for (const version of ['1', '2']) {
    const { running, port } = await proxy(upstream, '--proxy-protocol', version)
    const client = await dial(port)
    const { localPort = 0 } = client
    client.end('hello')
    await until(() => received.length === Number(version))
    const bytes = (await received.at(-1)) ?? Buffer.alloc(0)
    if (version === '1') {
      expect(String(bytes)).toBe(`PROXY TCP4 127.0.0.1 127.0.0.1 ${localPort} ${port}\r\nhello`)
    } else {
      const expected = Buffer.from(
        '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C\x7F\0\0\x01\x7F\0\0\x01....hello',
        'latin1',
      )
      expected.writeUInt16BE(localPort, 24)
      expected.writeUInt16BE(port, 26)
      expect(bytes).toEqual(expected)
    }
    running.process.kill('SIGINT')
    running.process.kill('SIGTERM')
    expect((await running.ended).code).toBe(0)
  }
})

test('the command forwards from one unix socket to another, and removes its path at the end', async () => {
  const [near, far] = [join(folder(), 'near'), join(folder(), 'far')]
  const server = createServer((peer) => peer.pipe(peer))
  await new Promise<void>((resolve) => {
    server.listen(far, resolve)
  })
  onTestFinished(() => void server.close())
  const running = eventBase('proxy', '--listen', `unix:${near}`, '--upstream', `unix:${far}`)
  await running.waitForOutput(/listening at unix:/)
  const client = connectNode(near)
  client.end('over paths')
  expect(String(await drain(client))).toBe('over paths')
  running.process.kill('SIGINT')
  expect(await running.ended).toMatchObject({ code: 0, err: '' })
  expect(existsSync(near)).toBe(false)
})

test('--listen fd:N accepts on an inherited socket', async () => {
  const upstream = await serve((peer) => peer.pipe(peer))
  const fd = socket.listen({ host: '127.0.0.1', port: 0 })
  const port = portOf(socket.address(fd))
  const args = ['proxy', '--listen', 'fd:3', '--upstream', `127.0.0.1:${upstream}`]
  const running = new Running('ts/cli/main.ts', args, [fd])
  socket.close(fd)
  await running.waitForOutput(new RegExp(`listening at 127\\.0\\.0\\.1:${port}`))
  const client = await dial(port)
  client.end('inherited')
  expect(String(await drain(client))).toBe('inherited')
  running.process.kill('SIGINT')
  expect(await running.ended).toMatchObject({ code: 0, err: '' })
})

test('--rate limits a connection', async () => {
  const upstream = await serve((peer) => peer.pipe(peer))
  const { running, port } = await proxy(upstream, '--rate', '100K')
  const start = performance.now()
  const client = await dial(port)
  const bytes = pattern(150 * 1024, 1)
  client.end(bytes)
  expect((await drain(client)).equals(bytes)).toBe(true)
  // The burst of one second passes immediately, the rest takes half a second.
  expect(performance.now() - start).toBeGreaterThanOrEqual(450)
  running.process.kill('SIGINT')
  expect((await running.ended).code).toBe(0)
})

test('--idle-timeout closes a connection without traffic', async () => {
  const upstream = await serve(() => {})
  const { running, port } = await proxy(upstream, '--idle-timeout', '0.1')
  const start = performance.now()
  await dialToReset(port)
  expect(performance.now() - start).toBeGreaterThanOrEqual(95)
  running.process.kill('SIGINT')
  expect((await running.ended).code).toBe(0)
})

test('an address in use is reported in one line, with exit code 1', async () => {
  const taken = await serve(() => {})
  const where = [`--listen=127.0.0.1:${taken}`, '--upstream=127.0.0.1:9']
  const { code, out, err } = await eventBase('proxy', ...where).ended
  expect(err).toBe(`event-base: bind EADDRINUSE: address already in use 127.0.0.1:${taken}\n`)
  expect([code, out]).toEqual([1, ''])
})

test('an upstream whose name cannot be looked up is reported, and the proxy runs', async () => {
  const upstream = await serve((peer) => peer.end('served'))
  const { running, port } = await proxy([`127.0.0.1:${upstream}`, 'no such name.invalid:1'])
  await running.waitForOutput(/getaddrinfo ENOTFOUND no such name\.invalid/)
  expect(String(await drain(await dial(port)))).toBe('served')
  running.process.kill('SIGTERM')
  expect((await running.ended).code).toBe(0)
})
