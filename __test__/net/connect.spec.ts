import { constants } from 'node:os'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { EventBase, EV } from '../../index.js'
import { connect, listen, socket } from '../../net.js'
import {
  anyPort,
  baseOn,
  closedPort,
  everyMethod,
  folder,
  LOOPBACK,
  openDescriptors,
  portOf,
  running,
  serve,
  silentPort,
  sleep,
} from './support.js'

describe.each(everyMethod)('on %s', (method) => {
  test('a connect to a listening port resolves with a usable descriptor', async () => {
    const base = await running(method)
    const port = await serve((peer) => peer.end('hello'))
    const fd = await connect(base, { host: LOOPBACK, port })
    expect(socket.peer(fd)).toMatchObject({ host: LOOPBACK, port })
    expect(await base.wait(fd, EV.READ)).toBe(EV.READ)
    const buffer = Buffer.alloc(9)
    expect(socket.read(fd, buffer)).toBe(5)
    socket.close(fd)
  })

  test('a connect to a closed port is refused, one to a host that does not answer times out', async () => {
    const base = await running(method)
    const before = openDescriptors()
    const port = closedPort()
    await expect(connect(base, { host: LOOPBACK, port })).rejects.toMatchObject({
      code: 'ECONNREFUSED',
      errno: -constants.errno.ECONNREFUSED,
      syscall: 'connect',
      address: LOOPBACK,
      port,
    })
    expect(openDescriptors()).toBe(before)

    const silent = { host: LOOPBACK, port: await silentPort() }
    const beforeSilence = openDescriptors()
    const start = performance.now()
    await expect(connect(base, silent, { timeout: 80 })).rejects.toMatchObject({
      address: silent.host,
      port: silent.port,
      code: 'ETIMEDOUT',
      errno: -constants.errno.ETIMEDOUT,
      syscall: 'connect',
    })
    const took = performance.now() - start
    // The timeout counts from the start of the pass, which may precede `start`.
    expect(took).toBeGreaterThanOrEqual(40)
    // The kernel alone gives up after about two minutes: tcp_syn_retries, tcp(7).
    expect(took).toBeLessThan(60_000)
    expect(openDescriptors()).toBe(beforeSilence)
  })
})

describe('during a run', () => {
  let base: EventBase
  let before: number

  beforeEach(async () => {
    base = await running()
    before = openDescriptors()
  })

  afterEach(() => {
    expect(openDescriptors()).toBe(before)
  })

  test('a name is looked up and each of its addresses is tried', async () => {
    // The listener accepts IPv4 only; localhost may resolve to ::1 first.
    const listener = listen(base, anyPort, (fd) => socket.close(fd))
    const fd = await connect(base, { host: 'localhost', port: portOf(listener.address) }, { timeout: 2000 })
    expect(socket.peer(fd)).toMatchObject({ host: LOOPBACK })
    socket.close(fd)
    await sleep(10)
    listener.close()
    const port = closedPort()
    await expect(connect(base, { host: 'localhost', port })).rejects.toMatchObject({
      code: 'ECONNREFUSED',
      port,
    })
  })

  test('a connect to a path resolves, one to a path that does not exist fails with ENOENT', async () => {
    const path = `${folder()}/listening`
    const listener = listen(base, { path }, (fd) => socket.close(fd))
    const fd = await connect(base, { path })
    expect(socket.peer(fd)).toEqual({ path })
    socket.close(fd)
    await sleep(10)
    listener.close()
    await expect(connect(base, { path })).rejects.toMatchObject({ code: 'ENOENT', address: path })
  })

  test('an abort rejects with its reason and closes the descriptor', async () => {
    const reason = new Error('no longer')
    const target = { host: LOOPBACK, port: closedPort() }
    await expect(connect(base, target, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })

  test('an invalid argument rejects, and opens no descriptor', async () => {
    const target = { host: LOOPBACK, port: 1 }
    const wrong: [string, Promise<number>][] = [
      ['ERR_INVALID_ARG_TYPE', connect({} as never, target)],
      ['ERR_INVALID_ARG_TYPE', connect(base, undefined as never)],
      ['ERR_INVALID_ARG_TYPE', connect(base, { host: 5, port: 1 } as never)],
      ['ERR_OUT_OF_RANGE', connect(base, { host: LOOPBACK, port: -1 })],
      ['ERR_OUT_OF_RANGE', connect(base, { path: 'a'.repeat(300) })],
      ['ERR_INVALID_ARG_TYPE', connect(base, target, 5 as never)],
      ['ERR_OUT_OF_RANGE', connect(base, target, { timeout: -1 })],
      ['ERR_INVALID_ARG_TYPE', connect(base, target, { timeout: '1' as never })],
      ['ERR_INVALID_ARG_TYPE', connect(base, target, { signal: 5 as never })],
    ]
    for (const [code, promise] of wrong) await expect(promise).rejects.toMatchObject({ code })
  })
})

test('an abort during the connect closes the descriptor', async () => {
  const base = await running()
  const target = { host: LOOPBACK, port: await silentPort() }
  const before = openDescriptors()
  const controller = new AbortController()
  const attempt = connect(base, target, { signal: controller.signal })
  setTimeout(() => controller.abort(), 20)
  await expect(attempt).rejects.toMatchObject({ name: 'AbortError', code: 20 })
  expect(openDescriptors()).toBe(before)
})

test('closing the base rejects a connect in progress', async () => {
  const target = { host: LOOPBACK, port: await silentPort() }
  const before = openDescriptors()
  const base = new EventBase()
  const attempt = connect(base, target)
  base.close()
  await expect(attempt).rejects.toMatchObject({ code: 'ERR_EVENT_CLOSED' })
  expect(openDescriptors()).toBe(before)
  await expect(connect(base, target)).rejects.toMatchObject({ code: 'ERR_EVENT_CLOSED' })
})

test('a connect settles after a blocking loop', async () => {
  const base = baseOn()
  const port = await serve(() => {})
  const attempt = connect(base, { host: LOOPBACK, port })
  base.dispatch()
  socket.close(await attempt)
})
