import { lookup as lookupInNode } from 'node:dns'
import { lookup as lookupPromised } from 'node:dns/promises'
import { constants } from 'node:os'
import { setImmediate as immediate } from 'node:timers/promises'

import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'

import { CountFlag, EventBase } from '../../index.js'
import { connect, listen, socket, type LookupAnswer, type LookupFunction } from '../../net.js'
import { StickySignal } from '../support/abort.js'
import { collectUncaught, rejectionOf } from '../support/errors.js'
import { baseOn, closedPort, LOOPBACK, openDescriptors, portOf, running, silence, until } from './support.js'

const name = 'example.test'
/** A delay in milliseconds that does not expire during a test, so that the attempt after it does not start. */
const NEVER = 3_600_000

/** A look-up that never answers. */
const silent: LookupFunction = () => {}

/** A look-up that answers more than once. */
const talkative: LookupFunction = (_host, _options, answer) => {
  answer(null, LOOPBACK)
  answer(new Error('after all'), [])
  return Promise.reject(new Error('and again'))
}

/** A look-up of fixed addresses. */
function finds(...addresses: string[]): LookupFunction {
  return () => Promise.resolve(addresses)
}

/** A listener at each host, all at the same port. */
function samePort(hosts: readonly string[]): { port: number; listeners: number[] } {
  for (let attempt = 0; attempt < 50; attempt++) {
    const listeners: number[] = []
    try {
      let port = 0
      for (const host of hosts) {
        const listening = socket.listen({ host, port, backlog: 0 })
        listeners.push(listening)
        port = portOf(socket.address(listening))
      }
      onTestFinished(() => listeners.forEach((listening) => socket.close(listening)))
      return { port, listeners }
    } catch (error) {
      listeners.forEach((listening) => socket.close(listening))
      // Another socket has the port at one of the hosts.
      if ((error as { code?: string }).code !== 'EADDRINUSE') throw error
    }
  }
  throw new Error('no port is free at every host')
}

describe('a connect to several addresses', () => {
  let base: EventBase
  let before: number

  beforeEach(async () => {
    base = await running()
    before = openDescriptors()
  })

  test('starts the next attempt if an address does not answer, and cancels the first one', async () => {
    const { port } = samePort(['::1', LOOPBACK])
    await silence('::1', port)
    const open = openDescriptors()
    const start = performance.now()
    const fd = await connect(base, { host: name, port }, { lookup: finds('::1', LOOPBACK), attemptDelay: 30 })
    // The second attempt waits for `attemptDelay`, which counts from the start of a pass of the loop.
    expect(performance.now() - start).toBeGreaterThanOrEqual(15)
    expect(socket.peer(fd)).toMatchObject({ host: LOOPBACK, port })
    expect(openDescriptors()).toBe(open + 1)
    socket.close(fd)
  })

  test('continues the first attempt while others run, and uses it if it succeeds first', async () => {
    const { port, listeners } = samePort([LOOPBACK, '::1', '127.0.0.77'])
    for (const host of ['::1', '127.0.0.77', LOOPBACK]) await silence(host, port)
    const open = openDescriptors()
    const lookup = finds(LOOPBACK, '::1', '127.0.0.77')
    const attempt = connect(base, { host: name, port }, { lookup, attemptDelay: 10 })
    // All three attempts are in progress.
    await until(() => openDescriptors() === open + 3, 'three attempts')
    // The queue now has room, and the kernel sends the SYN again after a second: RFC 6298, section 2.
    const fd = listeners.shift() ?? -1
    const listener = listen(base, { fd, backlog: 128 }, (accepted) => socket.close(accepted))
    const winner = await attempt
    expect(socket.peer(winner)).toMatchObject({ host: LOOPBACK })
    socket.close(winner)
    listener.close()
    await until(() => openDescriptors() === open - 1, 'the other attempts to be closed')
  })

  test('starts the next attempt immediately after a refusal, whatever the delay', async () => {
    const listener = listen(base, { host: '127.0.0.78', port: 0 }, (fd) => socket.close(fd))
    const { port } = listener.address
    const open = openDescriptors()
    const lookup = finds('127.0.0.79', '127.0.0.80', '255.255.255.255', '127.0.0.78')
    const fd = await connect(base, { host: name, port }, { lookup, attemptDelay: NEVER })
    expect(socket.peer(fd)).toMatchObject({ host: '127.0.0.78' })
    expect(openDescriptors()).toBeLessThanOrEqual(open + 2)
    socket.close(fd)
  })

  test('rejects with all errors if every attempt fails', async () => {
    const port = closedPort()
    const lookup = finds('255.255.255.255', LOOPBACK, '127.0.0.79')
    const error = await connect(base, { host: name, port }, { lookup, attemptDelay: NEVER }).catch(
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(AggregateError)
    expect(error).toMatchObject({
      code: 'ENETUNREACH',
      errno: -constants.errno.ENETUNREACH,
      syscall: 'connect',
      address: name,
      port,
      message: expect.stringContaining('ECONNREFUSED 127.0.0.79'),
      errors: [
        { code: 'ENETUNREACH', address: '255.255.255.255', port },
        { code: 'ECONNREFUSED', address: LOOPBACK, port },
        { code: 'ECONNREFUSED', address: '127.0.0.79', port },
      ],
    })
    expect(openDescriptors()).toBe(before)
  })

  test('treats a repeated address as one, and rejects with its error alone', async () => {
    const port = closedPort()
    const error = await connect(base, { host: name, port }, { lookup: finds(LOOPBACK, LOOPBACK) }).catch(
      (reason: unknown) => reason,
    )
    expect(error).not.toBeInstanceOf(AggregateError)
    expect(error).toMatchObject({ code: 'ECONNREFUSED', address: LOOPBACK, port })
  })

  test('cancels attempts without an answer at the timeout, with ETIMEDOUT', async () => {
    const { port } = samePort([LOOPBACK, '::1'])
    for (const host of [LOOPBACK, '::1']) await silence(host, port)
    const open = openDescriptors()
    const lookup = finds(LOOPBACK, '::1')
    const error = await connect(base, { host: name, port }, { lookup, attemptDelay: 10, timeout: 60 }).catch(
      (reason: unknown) => reason,
    )
    expect(error).not.toBeInstanceOf(AggregateError)
    expect(error).toMatchObject({ code: 'ETIMEDOUT', syscall: 'connect', address: name, port })
    expect(openDescriptors()).toBe(open)
    expect(base.events().filter(({ event }) => event !== undefined)).toHaveLength(1)
  })

  test('fails at an address whose zone does not exist, and continues at the others', async () => {
    const zone = 'fe80::1%nowhere'
    const { port } = samePort([LOOPBACK])
    const fd = await connect(base, { host: name, port }, { lookup: finds(zone, LOOPBACK) })
    expect(socket.peer(fd)).toMatchObject({ host: LOOPBACK, port })
    socket.close(fd)
    const closed = closedPort()
    const failure = await rejectionOf(
      connect(base, { host: name, port: closed }, { lookup: finds(zone, LOOPBACK) }),
    )
    expect(failure).toMatchObject({
      errors: [
        { syscall: 'connect', address: zone, port: closed },
        { code: 'ECONNREFUSED', address: LOOPBACK, port: closed },
      ],
    })
    await expect(connect(base, { host: name, port: closed }, { lookup: finds(zone) })).rejects.toMatchObject({
      code: 'ERR_OUT_OF_RANGE',
    })
  })

  test('cancels every attempt on an abort, and when the base is closed', async () => {
    const { port } = samePort([LOOPBACK, '::1'])
    for (const host of [LOOPBACK, '::1']) await silence(host, port)
    const open = openDescriptors()
    const controller = new AbortController()
    const options = { lookup: finds(LOOPBACK, '::1'), attemptDelay: 10, signal: controller.signal }
    const attempt = connect(base, { host: name, port }, options)
    await until(() => openDescriptors() === open + 2, 'both attempts')
    controller.abort(new Error('no longer'))
    await expect(attempt).rejects.toThrow('no longer')
    expect(openDescriptors()).toBe(open)

    const other = connect(base, { host: name, port }, { ...options, signal: undefined })
    await until(() => openDescriptors() === open + 2, 'both attempts')
    base.close()
    await expect(other).rejects.toMatchObject({ code: 'ERR_EVENT_CLOSED' })
    expect(openDescriptors()).toBeLessThanOrEqual(open)
  })

  test('does not try addresses of another family than the local address', async () => {
    const { port } = samePort(['::1', LOOPBACK])
    const lookup = finds('::1', LOOPBACK)
    const fd = await connect(
      base,
      { host: name, port },
      { lookup, localAddress: '127.0.0.42', attemptDelay: NEVER },
    )
    expect(socket.address(fd)).toMatchObject({ host: '127.0.0.42' })
    socket.close(fd)
    await expect(
      connect(base, { host: name, port }, { lookup: finds('::1'), localAddress: LOOPBACK }),
    ).rejects.toMatchObject({ code: 'EAFNOSUPPORT', syscall: 'bind', address: '::1' })
  })
})

describe('a look-up', () => {
  let base: EventBase
  let before: number

  beforeEach(async () => {
    base = await running()
    before = openDescriptors()
  })

  afterEach(() => {
    expect(openDescriptors()).toBe(before)
  })

  test.each<[string, LookupFunction]>([
    ['an address', (_host, _options, answer) => answer(null, LOOPBACK, 4)],
    ['a list, later', (_host, _options, answer) => setTimeout(() => answer(null, [LOOPBACK]), 1)],
    ['objects', (_host, _options, answer) => answer(null, [{ address: LOOPBACK, family: 4 }])],
    ['a promise', () => Promise.resolve({ address: LOOPBACK })],
    ["Node's own", (_host, options, answer) => lookupInNode(LOOPBACK, options, answer)],
    ["Node's own with promises", (_host, options) => lookupPromised(LOOPBACK, options)],
  ])('may answer with %s', async (_what, lookup) => {
    const { code, port } = await connect(base, { host: name, port: closedPort() }, { lookup }).then(
      () => ({}) as never,
      (error: { code: string; port: number }) => error,
    )
    expect([code, port]).toEqual(['ECONNREFUSED', closedPort()])
  })

  test('with the signature of Node is accepted', () => {
    const kinds: LookupFunction[] = [lookupInNode, lookupPromised]
    expect(kinds).toHaveLength(2)
  })

  test('is called for all addresses of the name', async () => {
    const asked: unknown[] = []
    const lookup: LookupFunction = (host, options, answer) => {
      asked.push([host, options])
      answer(new Error('asked'), [])
    }
    await expect(connect(base, { host: name, port: 1 }, { lookup })).rejects.toThrow('asked')
    expect(asked).toEqual([[name, { all: true }]])
  })

  test.each<[string, string, LookupFunction]>([
    ['nothing', 'ENOTFOUND', finds()],
    ['a name', 'ERR_OUT_OF_RANGE', finds('other.test')],
    ['undefined', 'ERR_INVALID_ARG_TYPE', (_host, _options, answer) => answer(null, undefined as never)],
    ['a number', 'ERR_INVALID_ARG_TYPE', () => Promise.resolve(5 as unknown as LookupAnswer)],
    ['a bad list', 'ERR_INVALID_ARG_TYPE', () => Promise.resolve([{}] as never)],
  ])('that answers with %s fails: %s', async (_what, code, lookup) => {
    await expect(connect(base, { host: name, port: 1 }, { lookup })).rejects.toMatchObject({ code })
  })

  test('that fails rejects with its own error, however it fails', async () => {
    const reason = new Error('no such host')
    const ways: LookupFunction[] = [
      (_host, _options, answer) => answer(reason, []),
      () => Promise.reject(reason),
      () => {
        throw reason
      },
    ]
    for (const lookup of ways) {
      await expect(connect(base, { host: name, port: 1 }, { lookup })).rejects.toBe(reason)
    }
  })

  test('of a name that cannot exist fails with ENOTFOUND', async () => {
    // A label has at most 63 bytes (RFC 1035, section 2.3.4), so no server is queried.
    const host = `${'x'.repeat(64)}.invalid`
    await expect(connect(base, { host, port: 1 })).rejects.toMatchObject({
      code: 'ENOTFOUND',
      syscall: 'getaddrinfo',
      hostname: host,
    })
  })

  test('that never answers is abandoned at the timeout, on an abort, and when the base is closed', async () => {
    const target = { host: name, port: 1 }
    await expect(connect(base, target, { lookup: silent, timeout: 10 })).rejects.toMatchObject({
      code: 'ETIMEDOUT',
      syscall: 'connect',
      address: name,
    })
    const controller = new AbortController()
    const aborted = connect(base, target, { lookup: silent, signal: controller.signal })
    controller.abort(new Error('no longer'))
    await expect(aborted).rejects.toThrow('no longer')
    const other = new EventBase()
    const closed = connect(other, target, { lookup: silent })
    other.close()
    await expect(closed).rejects.toMatchObject({ code: 'ERR_EVENT_CLOSED' })
  })

  test('is abandoned by an abort signal that throws when its listener is removed', async () => {
    const uncaught = collectUncaught()
    const target = { host: name, port: closedPort() }
    const refused = new StickySignal()
    await expect(
      connect(base, target, { lookup: finds(LOOPBACK), signal: refused.signal }),
    ).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    const aborted = new StickySignal()
    const attempt = connect(base, target, { lookup: silent, signal: aborted.signal, timeout: 60_000 })
    const timers = base.countEvents(CountFlag.ADDED)
    aborted.abort(new Error('no longer'))
    await expect(attempt).rejects.toThrow('no longer')
    expect(base.countEvents(CountFlag.ADDED)).toBe(timers - 1)
    await immediate()
    // The look-up and the connect have a listener each.
    expect(uncaught).toEqual([refused.failure, refused.failure, aborted.failure])
  })

  test('that is given an abort signal to which nothing can be added leaves no timer', async () => {
    const failure = new Error('no listeners')
    const signal = Object.assign(new AbortController().signal, {
      addEventListener: () => {
        throw failure
      },
    })
    const timers = base.countEvents(CountFlag.ADDED)
    await expect(
      connect(base, { host: name, port: 1 }, { lookup: silent, signal, timeout: 60_000 }),
    ).rejects.toBe(failure)
    expect(base.countEvents(CountFlag.ADDED)).toBe(timers)
  })

  test('that never answers times out although the timers of the host are replaced', async () => {
    const { setTimeout } = globalThis
    onTestFinished(() => void (globalThis.setTimeout = setTimeout))
    globalThis.setTimeout = (() => ({})) as never
    await expect(
      connect(base, { host: name, port: 1 }, { lookup: silent, timeout: 10 }),
    ).rejects.toMatchObject({ code: 'ETIMEDOUT' })
  })

  test('that never answers ends with the timeout of a blocking loop', async () => {
    const own = baseOn()
    const attempt = connect(own, { host: name, port: 1 }, { lookup: silent, timeout: 1 })
    own.dispatch()
    await expect(attempt).rejects.toMatchObject({ code: 'ETIMEDOUT' })
    own.close()
  })

  test('that answers too late, or twice, changes nothing', async () => {
    let late: (() => void) | undefined
    const lookup: LookupFunction = (_host, _options, answer) => {
      late = () => answer(null, LOOPBACK)
    }
    await expect(connect(base, { host: name, port: 1 }, { lookup, timeout: 5 })).rejects.toMatchObject({
      code: 'ETIMEDOUT',
    })
    late?.()
    await expect(
      connect(base, { host: name, port: closedPort() }, { lookup: talkative }),
    ).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    })
  })

  test.each<[string, string, object]>([
    ['attemptDelay 9', 'ERR_OUT_OF_RANGE', { attemptDelay: 9 }],
    ['attemptDelay Infinity', 'ERR_OUT_OF_RANGE', { attemptDelay: Infinity }],
    ['attemptDelay "250"', 'ERR_INVALID_ARG_TYPE', { attemptDelay: '250' }],
    ['lookup 5', 'ERR_INVALID_ARG_TYPE', { lookup: 5 }],
    ['localAddress 5', 'ERR_INVALID_ARG_TYPE', { localAddress: 5 }],
    ['localAddress ""', 'ERR_OUT_OF_RANGE', { localAddress: '' }],
    ['localAddress "localhost"', 'ERR_OUT_OF_RANGE', { localAddress: 'localhost' }],
    ['localPort 65536', 'ERR_OUT_OF_RANGE', { localPort: 65_536 }],
    ['localPort "1"', 'ERR_INVALID_ARG_TYPE', { localPort: '1' }],
    ['transparent 1', 'ERR_INVALID_ARG_TYPE', { transparent: 1 }],
    ['freeBind 1', 'ERR_INVALID_ARG_TYPE', { freeBind: 1 }],
    ['signal { aborted }', 'ERR_INVALID_ARG_TYPE', { signal: { aborted: false } }],
  ])('does not start with %s: %s', async (_what, code, options) => {
    await expect(connect(base, { host: LOOPBACK, port: 1 }, options)).rejects.toMatchObject({ code })
  })
})

test('a race continues in a blocking loop', async () => {
  const base = baseOn()
  const { port } = samePort(['::1', LOOPBACK])
  await silence('::1', port)
  const attempt = connect(base, { host: name, port }, { lookup: finds('::1', LOOPBACK), attemptDelay: 20 })
  // The look-up answers.
  await immediate()
  base.dispatch()
  const fd = await attempt
  expect(socket.peer(fd)).toMatchObject({ host: LOOPBACK })
  socket.close(fd)
})
