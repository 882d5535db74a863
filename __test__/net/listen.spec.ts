import { AsyncLocalStorage } from 'node:async_hooks'
import { existsSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { describe, expect, onTestFinished, test, vi } from 'vitest'

import { EventBase, LoopFlag, LoopResult } from '../../index.js'
import { listen, socket, type SocketAddress } from '../../net.js'
import { native } from '../../ts/native.js'
import { OwnPath } from '../../ts/net/own-path.js'
import {
  anyPort,
  baseOn,
  dial,
  everyMethod,
  folder,
  LOOPBACK,
  openDescriptors,
  portOf,
  running,
  sleep,
  thrown,
  until,
} from './support.js'

describe.each(everyMethod)('on %s', (method) => {
  test('connections are reported with their descriptor and their peer', async () => {
    const base = await running(method)
    const peers: SocketAddress[] = []
    const listener = listen(base, anyPort, (fd, peer) => {
      peers.push(peer)
      expect(socket.peer(fd)).toEqual(peer)
      expect(socket.read(fd, Buffer.alloc(1))).toBe(-1)
      socket.close(fd)
    })
    expect(listener.address).toEqual({ host: LOOPBACK, port: expect.any(Number), family: 'IPv4' })
    const clients = await Promise.all(Array.from({ length: 20 }, () => dial(portOf(listener.address))))
    await until(() => peers.length === 20, '20 connections')
    const own = clients.map(({ localPort = 0 }) => localPort)
    expect(peers.map(portOf).sort()).toEqual(own.sort())
  })

  test('a pass accepts no more than the batch', () => {
    const base = baseOn(method)
    let accepted = 0
    const listener = listen(base, { ...anyPort, batch: 2 }, (fd) => {
      accepted += 1
      socket.close(fd)
    })
    const target = { host: LOOPBACK, port: portOf(listener.address) }
    const clients = Array.from({ length: 5 }, () => socket.connect(target))
    const passes = [1, 2, 3, 4].map(() => {
      const before = accepted
      base.loop(LoopFlag.NONBLOCK)
      return accepted - before
    })
    expect(passes).toEqual([2, 2, 1, 0])
    for (const fd of clients) socket.close(fd)
    listener.close()
  })
})

/** Three pending connections. */
function knock(address: SocketAddress): () => void {
  const clients = [1, 2, 3].map(() => socket.connect({ host: LOOPBACK, port: portOf(address) }))
  return () => clients.forEach((fd) => socket.close(fd))
}

test('a pause takes effect within a batch, and resuming continues', () => {
  const base = baseOn()
  let accepted = 0
  const listener = listen(base, anyPort, (fd) => {
    accepted += 1
    socket.close(fd)
    if (accepted === 1) listener.pause().pause()
  })
  const leave = knock(listener.address)
  base.loop(LoopFlag.NONBLOCK)
  base.loop(LoopFlag.NONBLOCK)
  expect(accepted).toBe(1)
  listener.resume().resume()
  base.loop(LoopFlag.NONBLOCK)
  expect(accepted).toBe(3)
  leave()
})

test('a listener closed by its own callback accepts no more, and the loop is empty', () => {
  const base = baseOn()
  const before = openDescriptors()
  let accepted = 0
  const listener = listen(base, anyPort, (fd) => {
    accepted += 1
    socket.close(fd)
    listener.close()
    listener.close()
  })
  const leave = knock(listener.address)
  expect(base.dispatch()).toBe(LoopResult.EMPTY)
  expect([accepted, listener.closed]).toEqual([1, true])
  expect(thrown(() => listener.pause())).toMatchObject({ code: 'ERR_EVENT_CLOSED' })
  expect(thrown(() => listener.resume())).toMatchObject({ code: 'ERR_EVENT_CLOSED' })
  leave()
  expect(openDescriptors()).toBe(before)
})

test('a listener knows its base and its socket, until it is closed', () => {
  const base = baseOn()
  const listener = listen(base, anyPort, () => {})
  expect(listener.base).toBe(base)
  expect(socket.address(listener.fd)).toEqual(listener.address)
  listener.close()
  expect(listener.fd).toBe(-1)
})

test('a break leaves the other connections to the next loop', () => {
  const base = baseOn()
  let accepted = 0
  using listener = listen(base, anyPort, (fd) => {
    accepted += 1
    socket.close(fd)
    base.loopBreak()
  })
  const leave = knock(listener.address)
  for (const expected of [1, 2, 3]) {
    expect(base.dispatch()).toBe(LoopResult.STOPPED)
    expect(accepted).toBe(expected)
  }
  leave()
})

test('an exception of the callback leaves the loop, and the next loop continues', () => {
  const base = baseOn()
  let accepted = 0
  using listener = listen(base, anyPort, (fd) => {
    accepted += 1
    socket.close(fd)
    if (accepted === 1) throw new Error('from the callback')
  })
  const leave = knock(listener.address)
  expect(() => base.loop(LoopFlag.NONBLOCK)).toThrow('from the callback')
  base.loop(LoopFlag.NONBLOCK)
  expect(accepted).toBe(3)
  leave()
})

test('callbacks run in the asynchronous context of the listen', async () => {
  const base = await running()
  const storage = new AsyncLocalStorage<string>()
  let seen: string | undefined
  const listener = storage.run('here', () =>
    listen(base, anyPort, (fd) => {
      seen = storage.getStore()
      socket.close(fd)
    }),
  )
  await dial(portOf(listener.address))
  await until(() => seen !== undefined)
  expect(seen).toBe('here')
})

test('a path is removed when its listener is closed, unless it was replaced', () => {
  const base = baseOn()
  const path = `${folder()}/listening`
  listen(base, { path }, () => {}).close()
  expect(existsSync(path)).toBe(false)

  const moved = listen(base, { path }, () => {})
  renameSync(path, `${path}.old`)
  writeFileSync(path, 'not ours')
  moved.close()
  expect(existsSync(path)).toBe(true)
  expect(thrown(() => listen(base, { path }, () => {}))).toMatchObject({ code: 'EADDRINUSE', address: path })
})

test('a path at which another socket was bound stays, although the first socket is closed before its path is removed', () => {
  const path = `${folder()}/listening`
  const first = socket.listen({ path })
  const own = OwnPath.of(first, socket.address(first))
  socket.close(first)
  unlinkSync(path)
  // A file system may give it the inode number of the first socket.
  const successor = socket.listen({ path })
  own?.remove()
  expect(existsSync(path)).toBe(true)
  socket.close(successor)
})

test('a path is free for the next listener when close() returns', () => {
  const base = baseOn()
  const path = `${folder()}/listening`
  const before = openDescriptors()
  for (let count = 0; count < 20; count++) {
    const listener = listen(base, { path }, () => {})
    listener.close()
    listener.close()
    const successor = listen(base, { path }, () => {})
    expect(existsSync(path)).toBe(true)
    successor.close()
  }
  expect(openDescriptors()).toBe(before)
  const abstract = listen(base, { path: `\0${path}` }, () => {})
  expect(abstract.address).toEqual({ path: `\0${path}` })
  abstract.close()
})

test('a refused listener leaves no path and no descriptor', () => {
  const path = `${folder()}/listening`
  const before = openDescriptors()
  for (const target of [{ path }, anyPort]) {
    const base = new EventBase()
    const options = Object.defineProperty({ ...target }, 'paused', {
      enumerable: true,
      get: () => void base.close(),
    })
    expect(thrown(() => listen(base, options, () => {}))).toMatchObject({ code: 'ERR_EVENT_CLOSED' })
    expect(existsSync(path)).toBe(false)
    expect(openDescriptors()).toBe(before)
  }
})

test('closing the base closes its listeners', async () => {
  const before = openDescriptors()
  const base = new EventBase()
  const path = `${folder()}/listening`
  const listeners = [listen(base, anyPort, () => {}), listen(base, { path }, () => {})]
  const port = portOf(listeners[0]?.address ?? { path })
  base.close()
  expect(listeners.map(({ closed }) => closed)).toEqual([true, true])
  expect(existsSync(path)).toBe(false)
  listeners.forEach((listener) => listener.close())
  expect(openDescriptors()).toBe(before)
  await expect(dial(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('a listener that is closed while the loop sleeps lets a run end', async () => {
  const base = baseOn()
  const listener = listen(base, anyPort, () => {})
  const run = base.run()
  await sleep(20)
  listener.close()
  base.loopExit(0)
  expect([LoopResult.EMPTY, LoopResult.STOPPED]).toContain(await run)
})

test.each([
  ['no base', 'ERR_INVALID_ARG_TYPE', () => listen({} as never, anyPort, () => {})],
  ['no options', 'ERR_INVALID_ARG_TYPE', () => listen(baseOn(), null as never, () => {})],
  ['no callback', 'ERR_INVALID_ARG_TYPE', () => listen(baseOn(), anyPort, undefined as never)],
  ['a batch of 0', 'ERR_OUT_OF_RANGE', () => listen(baseOn(), { ...anyPort, batch: 0 }, () => {})],
  [
    'onError 5',
    'ERR_INVALID_ARG_TYPE',
    () => listen(baseOn(), { ...anyPort, onError: 5 as never }, () => {}),
  ],
  ['a name', 'ERR_OUT_OF_RANGE', () => listen(baseOn(), { host: 'example.com', port: 0 }, () => {})],
])('%s is refused: %s', (_what, code, call) => {
  expect(thrown(call)).toMatchObject({ name: 'EventError', code })
})

test('a closed base is refused', () => {
  const base = new EventBase()
  base.close()
  expect(thrown(() => listen(base, anyPort, () => {}))).toMatchObject({ code: 'ERR_EVENT_CLOSED' })
})

function fail(): never {
  throw new Error('a system call failed')
}

test('a listener whose system call fails leaves no descriptor and no path', () => {
  const base = baseOn()
  const path = join(folder(), 'socket')
  const before = openDescriptors()
  onTestFinished(() => void vi.restoreAllMocks())
  vi.spyOn(native, 'socketAddress').mockImplementationOnce(fail)
  expect(() => listen(base, anyPort, () => {})).toThrow('a system call failed')
  expect(openDescriptors()).toBe(before)
  vi.spyOn(native, 'netListen').mockImplementationOnce(fail)
  expect(() => listen(base, { path }, () => {})).toThrow('a system call failed')
  expect(openDescriptors()).toBe(before)
  expect(existsSync(path)).toBe(false)
})
