import type { Socket } from 'node:net'

import { describe, expect, test } from 'vitest'

import { EventBase } from '../../index.js'
import { BufferEvent, connect, listen, proxy, relay, socket, type RelayEnd } from '../../net.js'
import { afterPass } from '../support/base.js'
import {
  anyPort,
  closedPort,
  deferred,
  dial,
  dialToReset,
  drain,
  LOOPBACK,
  pattern,
  portOf,
  serve,
  until,
} from '../net/support.js'
import { descriptors } from '../../scripts/lib/system.mjs'
import { forward } from './support.js'

/** A running base; `ended` settles when `run()` returns. */
async function start(): Promise<{ base: EventBase; ended: Promise<unknown> }> {
  const base = new EventBase()
  base.newTimer(() => {}, { persist: true }).add(60_000)
  const ended = base.run()
  await afterPass(base)
  return { base, ended }
}

/** How a connection ended: in order, or with an error code. */
function endOf(peer: Socket): Promise<string> {
  return new Promise((resolve) => {
    peer.once('end', () => resolve('end'))
    peer.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
    peer.resume()
  })
}

/** The ways in which a connection can end. */
const OVER = ['end', 'ECONNRESET', 'EPIPE']

/** Runs a case, and expects that every descriptor it opened is closed, by kind. */
async function leavesNothing(run: () => Promise<void>): Promise<void> {
  // The first run opens descriptors that the process keeps open.
  await (await dial(await serve((peer) => peer.end()))).destroy()
  const first = await start()
  first.base.close()
  await first.ended
  let before = ''
  await until(() => before === (before = JSON.stringify(descriptors())), 'rest')
  await run()
  await until(
    () => JSON.stringify(descriptors()) === before,
    `${before}, not ${JSON.stringify(descriptors())}`,
  )
}

describe('the base is closed', () => {
  test('in onConnection, in the middle of a burst: no further connection is reported, all of them end', () =>
    leavesNothing(async () => {
      const { base, ended } = await start()
      let count = 0
      const listener = listen(base, anyPort, (fd) => {
        socket.close(fd)
        count += 1
        if (count === 3) base.close()
      })
      listener.pause()
      const { port } = listener.address
      const clients = await Promise.all(Array.from({ length: 12 }, () => dial(port)))
      const ends = clients.map(endOf)
      listener.resume()
      await ended
      expect(count).toBe(3)
      expect(listener.closed).toBe(true)
      for (const end of await Promise.all(ends)) expect(OVER).toContain(end)
      clients.forEach((client) => client.destroy())
    }))

  test('in onConnection, with connects and relays in progress: connects reject, relays end without a callback', () =>
    leavesNothing(async () => {
      const { base, ended } = await start()
      const upstream = socket.listen(anyPort)
      const port = portOf(socket.address(upstream))
      const failures: unknown[] = []
      const ends: RelayEnd[] = []
      let relays = 0
      const listener = listen(base, anyPort, (fd) => {
        connect(base, { host: LOOPBACK, port }).then(
          (there) => {
            relay(base, fd, there, {}, (end) => ends.push(end))
            relays += 1
            return relays
          },
          (error: unknown) => {
            socket.close(fd)
            return failures.push(error)
          },
        )
        if (relays === 2) base.close()
      })
      const clients = [await dial(listener.address.port), await dial(listener.address.port)]
      const over = clients.map(endOf)
      await until(() => relays === 2, 'two relays')
      clients.push(await dial(listener.address.port))
      over.push(...clients.slice(2).map(endOf))
      await ended
      // The streams of the two relays were cut; the third connection was closed by the callback above.
      expect((await Promise.all(over)).toSorted()).toEqual(['ECONNRESET', 'ECONNRESET', 'end'])
      expect(failures).toMatchObject([{ code: 'ERR_EVENT_CLOSED' }])
      expect(ends).toEqual([])
      socket.close(upstream)
      clients.forEach((client) => client.destroy())
    }))

  test('in the continuation of connect: the caller owns the descriptor, and cannot relay it', () =>
    leavesNothing(async () => {
      const { base, ended } = await start()
      const upstream = socket.listen(anyPort)
      const fd = await connect(base, { host: LOOPBACK, port: portOf(socket.address(upstream)) })
      const [near, far] = socket.pair()
      base.close()
      await ended
      expect(() => relay(base, near, fd)).toThrow(expect.objectContaining({ code: 'ERR_EVENT_CLOSED' }))
      for (const one of [near, far, fd, upstream]) socket.close(one)
    }))

  test('in onEnd: the other relays end without a callback', () =>
    leavesNothing(async () => {
      const { base, ended } = await start()
      const pairs = [socket.pair(), socket.pair(), socket.pair(), socket.pair()] as const
      const calls: string[] = []
      relay(base, pairs[0][0], pairs[1][0], {}, () => {
        calls.push('first')
        base.close()
      })
      relay(base, pairs[2][0], pairs[3][0], {}, () => calls.push('second'))
      // Both end in the same pass.
      for (const [, far] of pairs) socket.close(far)
      await ended
      expect(calls).toHaveLength(calls.includes('first') ? calls.indexOf('first') + 1 : -1)
    }))

  test.each(['onRead', 'onWrite', 'onEvent'] as const)('in %s of a buffered stream', (name) =>
    leavesNothing(async () => {
      const { base, ended } = await start()
      const [near, far] = socket.pair()
      const stream = new BufferEvent(base, near)
      let count = 0
      const close = (): void => {
        count += 1
        base.close()
      }
      stream.setCallbacks({ [name]: close }).enable(0x06)
      if (name === 'onWrite') stream.write('x')
      else if (name === 'onRead') socket.write(far, Buffer.from('x'))
      else socket.shutdown(far, 'write')
      await ended
      expect([count, stream.closed]).toEqual([1, true])
      // The stream closed its own descriptor.
      socket.close(far)
    }),
  )
})

describe('in a callback', () => {
  test('onConnection may close its listener after relaying, and the relay continues', async () => {
    const port = await serve((peer) => peer.pipe(peer))
    await leavesNothing(async () => {
      const { base, ended } = await start()
      const done = deferred<RelayEnd>()
      const listener = listen(base, anyPort, (fd) => {
        listener.close()
        void forward(base, fd, port, {}, done.resolve)
      })
      const client = await dial(listener.address.port)
      const bytes = pattern(2_000_000, 1)
      client.end(bytes)
      expect((await drain(client)).equals(bytes)).toBe(true)
      expect((await done.promise).reason).toBe('end')
      await expect(dial(listener.address.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
      base.close()
      await ended
    })
  })

  test('onEnd may close its own relay, another one and the listener, and start a relay', () =>
    leavesNothing(async () => {
      const { base, ended } = await start()
      const pairs = [
        socket.pair(),
        socket.pair(),
        socket.pair(),
        socket.pair(),
        socket.pair(),
        socket.pair(),
      ] as const
      const calls: string[] = []
      const listener = listen(base, anyPort, () => calls.push('a connection'))
      const other = relay(base, pairs[2][0], pairs[3][0], {}, ({ reason }) => calls.push(`other ${reason}`))
      const first = relay(base, pairs[0][0], pairs[1][0], {}, ({ reason }) => {
        calls.push(`first ${reason}`)
        first.close()
        other.close()
        listener.close()
        relay(base, pairs[4][0], pairs[5][0], {}, (end) => calls.push(`third ${end.reason} ${end.bytesAToB}`))
      })
      socket.close(pairs[0][1])
      socket.close(pairs[1][1])
      await until(() => calls.length === 2, 'the end of two')
      expect(calls).toEqual(['first end', 'other closed'])
      socket.write(pairs[4][1], Buffer.from('hello'))
      for (const index of [2, 3, 4] as const) socket.close(pairs[index][1])
      await until(() => socket.read(pairs[5][1], Buffer.alloc(9)) === 5, 'the bytes')
      socket.close(pairs[5][1])
      await until(() => calls.length === 3, 'the end of the third')
      expect(calls[2]).toBe('third end 5')
      base.close()
      await ended
    }))

  test('a timer that closes a relay in the pass in which its ends are ready stops it immediately', () =>
    leavesNothing(async () => {
      const { base, ended } = await start()
      const [a, b] = [socket.pair(), socket.pair()]
      const done = deferred<RelayEnd>()
      const made = relay(base, a[0], b[0], {}, done.resolve)
      // Ready before the timer runs, with descriptors that the next pair may get.
      socket.write(a[1], Buffer.alloc(1000))
      let next: [number, number] | undefined
      base
        .newTimer(() => {
          made.close()
          next = socket.pair()
        })
        .add(0)
      expect((await done.promise).reason).toBe('closed')
      // Readiness that was reported for the old descriptor does not reach the new one.
      await until(() => next !== undefined)
      const [left, right] = next ?? [-1, -1]
      expect(socket.read(left, Buffer.alloc(1))).toBe(-1)
      for (const fd of [a[1], b[1], left, right]) socket.close(fd)
      base.close()
      await ended
    }))

  test('onProblem may close its proxy, drain it, and change its upstreams', () =>
    leavesNothing(async () => {
      for (const what of ['close', 'drain', 'setUpstreams'] as const) {
        const calls: string[] = []
        const upstream = { host: LOOPBACK, port: closedPort() }
        const made = await proxy({
          listen: anyPort,
          upstream,
          threads: 2,
          onProblem: ({ kind }) => {
            calls.push(kind)
            if (what === 'setUpstreams') void made.setUpstreams([upstream])
            else void made[what]()
          },
        })
        await dialToReset(portOf(made.address))
        await until(() => calls.length > 0, 'the problem')
        await (what === 'setUpstreams' ? made.close() : made.closed)
        expect(calls[0]).toBe('connectFailed')
      }
    }))
})
