import { rmSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { describe, expect, it, onTestFinished } from 'vitest'

import { EV, EventBase, LoopResult } from '../../index.js'
import { BufferEvent, listen, relay, socket } from '../../net.js'
import { folder } from '../net/support.js'
import { close, openPair } from '../support/descriptors.js'
import { codeOf, rejectionOf, thrownBy } from '../support/errors.js'

/** The parts of a base that fail to close, and the codes they fail with. */
const failing: [string, (base: EventBase) => string[]][] = [
  [
    'two streams whose descriptors were closed by the program',
    (base) => {
      for (const [near, far] of [socket.pair(), socket.pair()]) {
        void new BufferEvent(base, near)
        socket.close(near)
        socket.close(far)
      }
      return ['EBADF', 'EBADF']
    },
  ],
  [
    'a stream whose descriptor was closed by the program',
    (base) => {
      const [near, far] = socket.pair()
      void new BufferEvent(base, near).toDuplex().on('error', () => {})
      socket.close(near)
      socket.close(far)
      return ['EBADF']
    },
  ],
  [
    'a listener whose path cannot be removed',
    (base) => {
      const path = join(folder(), 'socket')
      listen(base, { path }, () => {})
      // A folder in place of the one the socket was made in: the path leads through a file.
      rmSync(join(path, '..'), { recursive: true })
      writeFileSync(join(path, '..'), '')
      onTestFinished(() => {
        rmSync(join(path, '..'))
        mkdirSync(join(path, '..'))
      })
      return ['ENOTDIR']
    },
  ],
]

describe.each(failing)('closing a base with %s', (_name, make) => {
  it('closes all the rest, settles every promise and reports the failures', async () => {
    const base = new EventBase()
    const first = new BufferEvent(base, openPair()[0], { closeOnFree: false })
    const codes = make(base)
    const [near, far] = socket.pair()
    const last = new BufferEvent(base, near)
    const listener = listen(base, { host: '127.0.0.1', port: 0 }, () => {})
    const ends = [socket.pair(), socket.pair()] as const
    const pipe = relay(base, ends[0][0], ends[1][0])
    const waiting = rejectionOf(base.wait(openPair()[0], EV.READ))
    const running = base.run()

    const error = thrownBy(() => base.close()) as AggregateError & { code: string }
    expect(error.code).toBe(codes[0])
    const parts = error instanceof AggregateError ? (error.errors as { code: string }[]) : [error]
    expect(parts.map(({ code }) => code)).toEqual(codes)

    expect(await running).toBe(LoopResult.STOPPED)
    expect(codeOf(await waiting)).toBe('ERR_EVENT_CLOSED')
    expect([base, first, last, listener, pipe].map(({ closed }) => closed)).toEqual([
      true,
      true,
      true,
      true,
      true,
    ])
    for (const fd of [far, ends[0][1], ends[1][1]]) {
      expect(socket.read(fd, Buffer.alloc(1))).toBe(0)
      socket.close(fd)
    }
    base.close()
  })
})

it('a base closes with a pair that has timeouts, bytes on the way and limits', async () => {
  const base = new EventBase()
  const [first, second] = BufferEvent.pair(base, {
    readTimeout: 1000,
    writeTimeout: 1000,
    limit: { rate: 1000 },
  })
  first.enable(EV.READ).write('to the second')
  second.enable(EV.READ)
  second.write('to the first')
  const running = base.run()
  base.close()
  expect(await running).toBe(LoopResult.STOPPED)
  expect([first.closed, second.closed]).toEqual([true, true])
})

it('a stream whose descriptor was closed by the program closes its Duplex', async () => {
  const base = new EventBase()
  onTestFinished(() => base.close())
  const [near] = openPair()
  const stream = new BufferEvent(base, near)
  const duplex = stream.toDuplex().on('error', () => {})
  close(near)
  expect((thrownBy(() => stream.close()) as NodeJS.ErrnoException).code).toBe('EBADF')
  expect(duplex.destroyed).toBe(true)
  expect([stream.closed, stream.fd]).toEqual([true, -1])
})

it('a base closes completely if a listener of the process throws', async () => {
  const base = new EventBase()
  base.newSignal('SIGCHLD', () => {})
  const [near, far] = socket.pair()
  onTestFinished(() => socket.close(far))
  void new BufferEvent(base, near)
  const running = base.run()
  const failure = new Error('a failing listener')
  const listener = (): never => {
    throw failure
  }
  process.on('removeListener', listener)
  onTestFinished(() => void process.off('removeListener', listener))
  expect(thrownBy(() => base.close())).toBe(failure)
  expect(await running).toBe(LoopResult.STOPPED)
  expect(socket.read(far, Buffer.alloc(1))).toBe(0)
})
