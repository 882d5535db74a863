import { openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { describe, expect, test } from 'vitest'

import { CountFlag, EV, Feature, type EventBase } from '../../index.js'
import { connect, listen, RateGroup, relay, socket, type RelayEnd, type RelayOptions } from '../../net.js'
import { atSomePace } from '../support/base.js'
import {
  anyPort,
  baseOn,
  deferred,
  dial,
  drain,
  everyMethod,
  LOOPBACK,
  openDescriptors,
  openRelay,
  pattern,
  portOf,
  readToReset,
  running,
  serve,
  silentPort,
  sleep,
  thrown,
  until,
} from './support.js'

describe.each(everyMethod)('on %s', (method) => {
  test('a reset is forwarded as a reset, not as an end', async () => {
    const base = await running(method)
    const before = openDescriptors()
    const { a, b, ended } = await openRelay(base)
    const received: Buffer[] = []
    b.far.on('data', (chunk: Buffer) => received.push(chunk))
    const broken = deferred<Error>()
    b.far.once('error', broken.resolve)
    a.far.write('half a mess')
    await until(() => received.length > 0)
    a.far.resetAndDestroy()
    const end = await ended
    expect(end).toMatchObject({
      reason: 'error',
      bytesAToB: 11,
      error: { code: 'ECONNRESET', syscall: 'read', fd: a.fd },
    })
    expect(end.error).toBeInstanceOf(Error)
    expect(await broken.promise).toMatchObject({ code: 'ECONNRESET' })
    await until(() => openDescriptors() === before, 'every descriptor to be closed')
  })

  test('a client that resets its connection in the middle of a transfer closes that of the upstream', async () => {
    const base = await running(method)
    const before = openDescriptors()
    const { a, b, ended } = await openRelay(base)
    b.far.on('error', () => {})
    const block = pattern(1_000_000, 1)
    const more = (): void => {
      while (!b.far.destroyed && b.far.write(block));
    }
    b.far.on('drain', more)
    more()
    a.far.once('data', () => a.far.resetAndDestroy())
    expect((await ended).reason).toBe('error')
    await until(() => b.far.destroyed, 'the connection of the upstream to be closed')
    await until(() => openDescriptors() === before, 'every descriptor to be closed')
  })

  test('a relay with one direction ended, and no traffic, uses no CPU time', async () => {
    const base = await running(method)
    const { a, b, pipe } = await openRelay(base)
    a.far.end()
    await drain(b.far)
    await atSomePace(async (pace) => {
      const before = process.cpuUsage()
      await sleep(300 * pace)
      const { user, system } = process.cpuUsage(before)
      return user + system < 150_000 * pace
    })
    expect(pipe.closed).toBe(false)
    pipe.close()
  })
})

test('a connect to an upstream that does not answer times out, and the client reads an end', async () => {
  const base = await running()
  const upstream = { host: LOOPBACK, port: await silentPort() }
  const failures: unknown[] = []
  const listener = listen(base, anyPort, async (fd) => {
    try {
      relay(base, fd, await connect(base, upstream, { timeout: 50 }))
    } catch (error) {
      failures.push(error)
      socket.close(fd)
    }
  })
  const client = await dial(portOf(listener.address))
  expect((await drain(client)).length).toBe(0)
  expect(failures).toMatchObject([{ code: 'ETIMEDOUT', syscall: 'connect' }])
})

test('a relay to an upstream that accepts and sends nothing ends at its idle timeout', async () => {
  const base = await running()
  const port = await serve(() => {})
  const ended = deferred<RelayEnd>()
  const listener = listen(base, anyPort, async (fd) => {
    const there = await connect(base, { host: LOOPBACK, port })
    relay(base, fd, there, { idleTimeout: 80 }, ended.resolve)
  })
  const client = await dial(portOf(listener.address))
  client.write('is anybody there?')
  expect((await readToReset(client)).length).toBe(0)
  expect(await ended.promise).toMatchObject({ reason: 'idle', bytesAToB: 17, bytesBToA: 0 })
})

test('a descriptor that is not open is refused, and the caller keeps the other one', () => {
  const base = baseOn()
  const [near, far] = socket.pair()
  const [gone, other] = socket.pair()
  socket.close(gone)
  socket.close(other)
  for (const [a, b] of [
    [near, gone],
    [gone, near],
  ] as const) {
    expect(thrown(() => relay(base, a, b))).toMatchObject({ code: 'EBADF', fd: gone })
  }
  expect(socket.write(near, Buffer.from('x'))).toBe(1)
  socket.close(near)
  socket.close(far)
})

test('a relay beside an edge-triggered event is refused, and the caller keeps both descriptors', () => {
  const base = baseOn()
  if ((base.features & Feature.ET) === 0) return
  const [near, a] = socket.pair()
  const [b, far] = socket.pair()
  const event = base.newEvent(b, EV.READ | EV.ET, () => {}).add()
  const group = new RateGroup(base, { rate: 1000 })
  for (const options of [{}, { group }, { idleTimeout: 1000 }]) {
    expect(thrown(() => relay(base, a, b, options))).toMatchObject({ code: 'ERR_EVENT_BAD_FLAGS' })
  }
  expect(group.members).toBe(0)
  expect(base.countEvents(CountFlag.ADDED)).toBe(1)
  expect(socket.write(near, Buffer.from('x'))).toBe(1)
  expect(socket.read(a, Buffer.alloc(1))).toBe(1)
  expect(socket.write(b, Buffer.from('y'))).toBe(1)
  event.close()
  relay(base, a, b).close()
  expect(thrown(() => socket.close(a))).toMatchObject({ code: 'EBADF' })
  socket.close(near)
  socket.close(far)
})

test('a descriptor that the backend cannot poll is refused, and both descriptors are closed', () => {
  const base = baseOn()
  if ((base.features & Feature.FDS) !== 0) return
  const before = openDescriptors()
  const file = openSync(fileURLToPath(import.meta.url), 'r')
  const [near, far] = socket.pair()
  expect(thrown(() => relay(base, near, file))).toMatchObject({ code: 'EPERM', fd: file })
  expect(socket.read(far, Buffer.alloc(1))).toBe(0)
  socket.close(far)
  expect(openDescriptors()).toBe(before)
})

describe.each(['halfCloseTimeout', 'transfer'] as const)(
  'a relay whose getter of %s closes the base',
  (name) => {
    /** Closes the base and starts a relay, which takes nothing. */
    function check(base: EventBase): void {
      const [near, a] = socket.pair()
      const [b, far] = socket.pair()
      const options: RelayOptions = {
        get [name]() {
          base.close()
          return name === 'transfer' ? 'copy' : undefined
        },
      }
      expect(thrown(() => relay(base, a, b, options))).toMatchObject({ code: 'ERR_EVENT_CLOSED' })
      expect([socket.write(a, Buffer.from('x')), socket.write(b, Buffer.from('y'))]).toEqual([1, 1])
      for (const fd of [near, a, b, far]) socket.close(fd)
    }

    test('is refused, and the caller keeps both descriptors', () => {
      check(baseOn())
    })

    test('is refused in a callback of the base, and the caller keeps both descriptors', () => {
      const base = baseOn()
      let calls = 0
      base
        .newTimer(() => {
          check(base)
          calls += 1
        })
        .add(0)
      base.dispatch()
      expect(calls).toBe(1)
    })
  },
)

const wrong: [string, string, (base: EventBase, a: number, b: number) => unknown][] = [
  ['no base', 'ERR_INVALID_ARG_TYPE', (_, a, b) => relay(undefined as never, a, b)],
  ['text', 'ERR_INVALID_ARG_TYPE', (base, a) => relay(base, a, '5' as never)],
  ['a negative fd', 'ERR_OUT_OF_RANGE', (base, a) => relay(base, -1, a)],
  ['the same fd twice', 'ERR_OUT_OF_RANGE', (base, a) => relay(base, a, a)],
  ['options of 5', 'ERR_INVALID_ARG_TYPE', (base, a, b) => relay(base, a, b, 5 as never)],
  ['a negative time', 'ERR_OUT_OF_RANGE', (base, a, b) => relay(base, a, b, { idleTimeout: -1 })],
  ['NaN for a time', 'ERR_OUT_OF_RANGE', (base, a, b) => relay(base, a, b, { idleTimeout: Number.NaN })],
  ['a rate of 0', 'ERR_OUT_OF_RANGE', (base, a, b) => relay(base, a, b, { limit: { rate: 0 } })],
  ['half a byte', 'ERR_OUT_OF_RANGE', (base, a, b) => relay(base, a, b, { limit: { rate: 0.5 } })],
  ['a burst of 0', 'ERR_OUT_OF_RANGE', (base, a, b) => relay(base, a, b, { limit: { rate: 1, burst: 0 } })],
  ['a limit of 5', 'ERR_INVALID_ARG_TYPE', (base, a, b) => relay(base, a, b, { limit: 5 as never })],
  ['onEnd of 5', 'ERR_INVALID_ARG_TYPE', (base, a, b) => relay(base, a, b, {}, 5 as never)],
]

test.each(wrong)('%s is refused: %s, and the caller keeps the descriptors', (_what, code, call) => {
  const base = baseOn()
  const [a, b] = socket.pair()
  expect(thrown(() => call(base, a, b))).toMatchObject({ name: 'EventError', code })
  socket.close(a)
  socket.close(b)
})
