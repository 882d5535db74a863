import { connect as connectNode, createServer as createNetServer } from 'node:net'
import { readFileSync } from 'node:fs'
import { connect as connectTls, createServer, type TLSSocket } from 'node:tls'
import type { AddressInfo } from 'node:net'

import { expect, onTestFinished, test } from 'vitest'

import { parseServerName } from '../../examples/shared/client-hello.js'
import { Routes } from '../../examples/sni-router.js'
import type { Running } from '../cli/support.js'
import { LOOPBACK, pattern, until } from '../net/support.js'
import { processorSeconds } from '../../scripts/lib/system.mjs'
import { client, example, portOf, stop } from './support.js'

const fixture = (name: string): Buffer =>
  readFileSync(new URL(`../fixtures/tls/${name}.pem`, import.meta.url))

/** A TLS server that sends its name and the requested one, and then echoes. */
async function secure(name: string): Promise<number> {
  const server = createServer({ key: fixture('key'), cert: fixture('cert') }, (peer) => {
    peer.on('error', () => {})
    peer.write(`${name} for ${peer.servername}\n`)
    peer.pipe(peer)
  })
  server.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => {
    server.listen(0, LOOPBACK, resolve)
  })
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

function dial(port: number, servername: string | undefined): TLSSocket {
  const options = { host: LOOPBACK, port, ca: fixture('cert'), checkServerIdentity: () => undefined }
  // With an empty name Node sends no name.
  const socket = connectTls({ ...options, servername: servername ?? '' })
  onTestFinished(() => void socket.destroy())
  return socket
}

/** The answer of a server to a client that requests a name and sends `bytes`. */
async function ask(
  port: number,
  servername: string | undefined,
  bytes: Uint8Array = Buffer.from('hello'),
): Promise<Buffer> {
  const socket = dial(port, servername)
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await new Promise((resolve, reject) => {
    socket.once('end', resolve)
    socket.once('error', reject)
    socket.end(bytes)
  })
  return Buffer.concat(chunks)
}

/** The end of a connection that is not forwarded. */
async function failure(port: number, servername: string | undefined): Promise<string | undefined> {
  const socket = dial(port, servername)
  let greeted = false
  socket.once('secureConnect', () => (greeted = true))
  const code = await new Promise<string | undefined>((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
    socket.once('end', () => resolve('end'))
  })
  expect(greeted).toBe(false)
  return code
}

/** The ClientHello that Node sends. */
async function hello(servername: string): Promise<Buffer> {
  const server = createNetServer()
  await new Promise<void>((resolve) => {
    server.listen(0, LOOPBACK, resolve)
  })
  onTestFinished(() => void server.close())
  const arrived = new Promise<Buffer>((resolve) => {
    server.once('connection', (peer) => {
      let bytes = Buffer.alloc(0)
      peer.on('error', () => {})
      peer.on('data', (chunk: Buffer) => {
        bytes = Buffer.concat([bytes, chunk])
        if (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt16BE(3)) {
          peer.destroy()
          resolve(bytes)
        }
      })
    })
  })
  const far = dial((server.address() as AddressInfo).port, servername)
  far.on('error', () => {})
  return await arrived
}

/** A hello in records of `size` bytes. */
function fragmented(bytes: Buffer, size: number): Buffer {
  const message = bytes.subarray(5)
  const records: Buffer[] = []
  for (let at = 0; at < message.length; at += size) {
    const fragment = message.subarray(at, at + size)
    records.push(Buffer.from([22, 3, 1, fragment.length >> 8, fragment.length & 0xff]), fragment)
  }
  return Buffer.concat(records)
}

async function router(...args: string[]): Promise<{ running: Running; port: number }> {
  const running = example('sni-router', ...args)
  return { running, port: await portOf(running) }
}

test('each name is forwarded to its upstream, which terminates TLS', async () => {
  const [one, rest] = [await secure('one'), await secure('rest')]
  const { running, port } = await router(
    '--route',
    `one.example.org=${LOOPBACK}:${one}`,
    '--route',
    `*.example.org=${LOOPBACK}:${rest}`,
  )
  expect(String(await ask(port, 'one.example.org'))).toBe('one for one.example.org\nhello')
  expect(String(await ask(port, 'ONE.Example.org'))).toMatch(/^one for one\.example\.org\n/i)
  expect(String(await ask(port, 'two.example.org'))).toBe('rest for two.example.org\nhello')
  const bytes = pattern(2_000_000, 1)
  const all = await ask(port, 'a.b.example.org', bytes)
  expect(all.subarray(all.indexOf('\n') + 1).equals(bytes)).toBe(true)
  await running.waitForOutput(/one\.example\.org to 127\.0\.0\.1:/)
  await stop(running)
})

test('a name without a route and a hello without a name are closed, or forwarded to the default', async () => {
  const one = await secure('one')
  const strict = await router('--route', `one.example.org=${LOOPBACK}:${one}`)
  expect(await failure(strict.port, 'other.example.org')).toMatch(/ECONNRESET|end/)
  await strict.running.waitForOutput(/closed: no route for other\.example\.org/)
  expect(await failure(strict.port, undefined)).toMatch(/ECONNRESET|end/)
  await strict.running.waitForOutput(/closed: no route for a hello without a name/)
  await stop(strict.running)

  const open = await router('--default', `${LOOPBACK}:${one}`)
  expect(String(await ask(open.port, 'anything.example'))).toBe('one for anything.example\nhello')
  expect(String(await ask(open.port, undefined))).toBe('one for false\nhello')
  await stop(open.running, 'SIGINT')
})

test('a hello may arrive in several segments or records', async () => {
  const received: Buffer[] = []
  const server = createNetServer((peer) => peer.on('data', (chunk: Buffer) => received.push(chunk)))
  await new Promise<void>((resolve) => {
    server.listen(0, LOOPBACK, resolve)
  })
  onTestFinished(() => void server.close())
  const upstream = (server.address() as AddressInfo).port
  const { running, port } = await router('--route', `one.example.org=${LOOPBACK}:${upstream}`)
  const whole = await hello('one.example.org')
  for (const bytes of [whole, fragmented(whole, 100), fragmented(whole, 1)]) {
    received.length = 0
    const far = connectNode({ port, host: LOOPBACK, noDelay: true })
    onTestFinished(() => void far.destroy())
    const cuts = [0, 1, 3, 5, 6, 40, bytes.length >> 1, bytes.length - 1, bytes.length]
    for (const [index, cut] of cuts.entries()) {
      // No byte is forwarded before the hello is complete, and then all bytes are.
      expect(received).toEqual([])
      const piece = bytes.subarray(cuts[index - 1] ?? 0, cut)
      if (piece.length > 0) {
        await new Promise((resolve) => {
          far.write(piece, resolve)
        })
      }
    }
    far.write('and more')
    const wanted = Buffer.concat([bytes, Buffer.from('and more')])
    await until(() => Buffer.concat(received).length === wanted.length)
    expect(Buffer.concat(received).equals(wanted)).toBe(true)
    far.destroy()
  }
  await stop(running)
})

test('a connection without a valid or complete hello is closed', async () => {
  const [patient, hasty] = await Promise.all(
    ['60', '0.2'].map((seconds) => router('--default', `${LOOPBACK}:1`, '--hello-timeout', seconds)),
  )
  const half = (await hello('one.example.org')).subarray(0, 60)
  const closed: [typeof patient, Buffer, RegExp][] = [
    [patient, Buffer.from('GET / HTTP/1.1\r\n\r\n'), /closed: not TLS: not a handshake/],
    [patient, Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0]), /closed: not TLS: not a ClientHello/],
    [hasty, half, /closed: .*timeout/],
    [hasty, Buffer.alloc(0), /closed: .*timeout/],
  ]
  for (const [which, bytes, complaint] of closed) {
    const far = client({ port: which?.port ?? 0, host: LOOPBACK })
    far.socket.write(bytes)
    await until(() => far.ended || far.error !== undefined, String(complaint))
    expect([complaint, far.received.length]).toEqual([complaint, 0])
    await which?.running.waitForOutput(complaint)
  }
  const quitter = client({ port: patient?.port ?? 0, host: LOOPBACK })
  quitter.socket.end(half)
  await patient?.running.waitForOutput(/closed: the hello is incomplete/)
  for (const which of [patient, hasty]) if (which) await stop(which.running)
})

test('waiting for the rest of a hello uses no processor time', async () => {
  const { running, port } = await router('--default', `${LOOPBACK}:1`, '--hello-timeout', '60')
  const far = client({ port, host: LOOPBACK })
  far.socket.write((await hello('one.example.org')).subarray(0, 60))
  const used = (): number => processorSeconds(running.process.pid ?? 0)
  // A loop that spins uses all processor time; one that waits uses almost none in two seconds.
  let least = Infinity
  await until(() => far.socket.bytesWritten === 60)
  for (let attempt = 0; attempt < 5 && least > 0.2; attempt++) {
    const before = used()
    await new Promise((resolve) => {
      setTimeout(resolve, 1000)
    })
    least = Math.min(least, used() - before)
  }
  expect(least).toBeLessThanOrEqual(0.2)
  await stop(running)
})

test('every prefix of a hello is incomplete, and a hello with a changed byte is parsed or refused', async () => {
  const whole = await hello('one.example.org')
  const found = { whole: true, name: 'one.example.org' }
  for (const bytes of [whole, fragmented(whole, 7)]) {
    expect(parseServerName(bytes)).toEqual(found)
    // Early data and other bytes after the hello are ignored.
    expect(parseServerName(Buffer.concat([bytes, Buffer.from([23, 3, 3, 0, 1, 0])]))).toEqual(found)
    for (let length = 0; length < bytes.length; length++) {
      expect([length, parseServerName(bytes.subarray(0, length))]).toEqual([length, { whole: false }])
    }
  }
  let refused = 0
  for (let at = 0; at < whole.length; at++) {
    for (const value of [0, 1, 0x7f, 0xff]) {
      const changed = Buffer.from(whole)
      changed[at] = value
      try {
        const { whole: isWhole, ...rest } = parseServerName(changed)
        if (isWhole && 'name' in rest && rest.name !== undefined) expect(rest.name).toMatch(/^[\w.-]+$/)
      } catch (error) {
        refused += 1
        expect((error as Error).message).toMatch(/^not TLS: |^the hello is too long$/)
      }
    }
  }
  expect(refused).toBeGreaterThan(20)
})

/** A two-byte number. */
function short(value: number): number[] {
  return [value >> 8, value & 0xff]
}

function extension(kind: number, bytes: readonly number[]): number[] {
  return [...short(kind), ...short(bytes.length), ...bytes]
}

/** A list of server names, with one. */
function serverName(text: string, kind = 0): number[] {
  const bytes = [...Buffer.from(text, 'latin1')]
  return [...short(bytes.length + 3), kind, ...short(bytes.length), ...bytes]
}

/** The smallest hello with these extensions, or none, and with bytes after them. */
function build(extensions: readonly number[] | undefined, behind: readonly number[] = []): Buffer {
  const block = extensions === undefined ? [] : [...short(extensions.length), ...extensions]
  const body = [3, 3, ...Buffer.alloc(32), 0, 0, 2, 0x13, 1, 1, 0, ...block, ...behind]
  const message = [1, 0, ...short(body.length), ...body]
  return Buffer.from([22, 3, 1, ...short(message.length), ...message])
}

test('an invalid hello is refused', () => {
  expect(parseServerName(build(undefined))).toEqual({ whole: true, name: undefined })
  expect(parseServerName(build([]))).toEqual({ whole: true, name: undefined })
  expect(parseServerName(build(extension(5, [1, 0])))).toEqual({ whole: true, name: undefined })
  expect(parseServerName(build([...extension(5, []), ...extension(0, serverName('A.Example'))]))).toEqual({
    whole: true,
    name: 'a.example',
  })
  const refusals: [string, Buffer][] = [
    ['two server names', build([...extension(0, serverName('a')), ...extension(0, serverName('b'))])],
    ['an empty name', build(extension(0, serverName('')))],
    ['another kind of name', build(extension(0, serverName('a', 1)))],
    ['a NUL in the name', build(extension(0, serverName('a\0.example')))],
    ['a slash in the name', build(extension(0, serverName('../a')))],
    ['dots alone', build(extension(0, serverName('..')))],
    ['a name that is too long', build(extension(0, serverName('a'.repeat(254))))],
    ['an empty list', build(extension(0, [0, 0]))],
    ['an extension beyond the end', build([0, 0, 0, 9, 0])],
    ['bytes behind the extensions', build([], [1])],
    ['an empty record', Buffer.from([22, 3, 1, 0, 0])],
    ['a record too long', Buffer.from([22, 3, 1, 0x40, 1])],
    ['a hello too long', Buffer.from([22, 3, 1, 0, 4, 1, 0, 0x40, 1])],
    ['another version', Buffer.from([22, 2])],
  ]
  for (const [what, bytes] of refusals) {
    let message = ''
    try {
      parseServerName(bytes)
    } catch (error) {
      message = (error as Error).message
    }
    expect([what, message]).toEqual([what, expect.stringMatching(/^not TLS: |^the hello is too long$/)])
  }
})

test('the most specific route is chosen', () => {
  const routes = new Routes(['a.example=h:1', '*.example=h:2', '*.b.example=unix:/three', 'B.Example=h:4'], {
    path: 'default',
  })
  const leads: [string | undefined, unknown][] = [
    ['a.example', { host: 'h', port: 1 }],
    ['c.example', { host: 'h', port: 2 }],
    ['b.example', { host: 'h', port: 4 }],
    ['c.b.example', { path: '/three' }],
    ['d.c.b.example', { path: '/three' }],
    ['example', { path: 'default' }],
    [undefined, { path: 'default' }],
  ]
  for (const [name, wanted] of leads) expect([name, routes.find(name)]).toEqual([name, wanted])
})
