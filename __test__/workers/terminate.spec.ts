import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'

import { describe, expect, it, onTestFinished } from 'vitest'

import type { SystemError } from '../../index.js'
import { socket, type InternetAddress } from '../../net.js'
import { folder } from '../net/support.js'
import { until } from '../support/base.js'
import { openDescriptors } from '../../scripts/lib/system.mjs'
import { startWorker } from '../support/worker.js'

/** Far more than it takes, far less than the timers of the fixture. */
const PROMPTLY = 20_000

describe('terminate() promptly ends a worker that is', () => {
  it.each([
    'blocked in loop',
    'blocked in loop with nothing pending',
    'blocked in a loop that is entered again',
    'in a loop that always has an active event',
    'in a callback of loop',
    'running',
    'running many',
    'in a callback of run',
    'with a base that is idle',
  ])('%s', async (name) => {
    const worker = await startWorker('worker.mjs', name)
    // The message is sent just before it blocks.
    await new Promise((resolve) => setTimeout(resolve, 20))
    const start = performance.now()
    expect(await worker.terminate()).toBe(1)
    expect(performance.now() - start).toBeLessThan(PROMPTLY)
  })
})

/** A connection of a worker, read by this thread. */
class Received {
  readonly fd: number
  /** The number of bytes read. */
  count = 0
  /** How it has ended: `'end'` or the code of an error; `undefined` while it is open. */
  end: string | undefined

  constructor(fd: number) {
    this.fd = fd
  }

  /** Reads what has arrived. Returns how the connection has ended. */
  read(): string | undefined {
    const buffer = Buffer.alloc(65_536)
    try {
      let count
      while ((count = socket.read(this.fd, buffer)) > 0) this.count += count
      if (count === 0) this.end = 'end'
    } catch (error) {
      this.end = (error as SystemError).code
    }
    return this.end
  }
}

/** Starts a worker that connects to this thread, as the fixture's case of this name. */
async function connected(name: string): Promise<{ worker: Worker; received: Received }> {
  const listening = socket.listen({ host: '127.0.0.1', port: 0 })
  onTestFinished(() => socket.close(listening))
  // The window of its connections is small, so that most of what a worker writes stays with the worker.
  socket.setOption(listening, 'receiveBuffer', 4096)
  const { port } = socket.address(listening) as InternetAddress
  const worker = await startWorker('worker.mjs', { name, port })
  let fd = -1
  await until(() => (fd = socket.accept(listening)) >= 0, 'the connection')
  onTestFinished(() => socket.close(fd))
  return { worker, received: new Received(fd) }
}

describe('terminate() closes the connection of', () => {
  it.each([
    // The stream did not end, so it must not look complete.
    ['a buffered stream', 'ECONNRESET'],
    ['a buffered stream that was given a descriptor', 'ECONNRESET'],
    ['a buffered stream whose numeric target is connected to', 'ECONNRESET'],
    ['a Duplex', 'ECONNRESET'],
    ['a relay', 'ECONNRESET'],
  ])('%s', async (name, expected) => {
    const { worker, received } = await connected(name)
    expect(received.read()).toBeUndefined()
    await worker.terminate()
    await until(() => received.read() !== undefined, 'the end of the connection')
    expect(received).toMatchObject({ end: expected, count: 0 })
  })

  it('a buffered stream with bytes to write before its end, which is reset', async () => {
    const { worker, received } = await connected('a buffered stream that is ending')
    await worker.terminate()
    await until(() => received.read() !== undefined, 'the end of the connection')
    expect(received.end).toBe('ECONNRESET')
    expect(received.count).toBeLessThan(50_000_000)
  })

  it('a buffered stream that has ended, which arrives whole', async () => {
    const { worker, received } = await connected('a buffered stream that has ended')
    await worker.terminate()
    await until(() => received.read() !== undefined, 'the end of the connection')
    expect(received).toMatchObject({ end: 'end', count: 100_000 })
  })
})

it('terminate() removes the path of a listener', async () => {
  const path = join(folder(), 'listening')
  const worker = await startWorker('worker.mjs', { name: 'a listener at a path', path })
  expect(existsSync(path)).toBe(true)
  await worker.terminate()
  await until(() => !existsSync(path), 'the removal of the path')
})

describe('workers that are started and terminated in a row', () => {
  it.each(['blocked in loop', 'running many'])('leave nothing open: %s', async (name) => {
    const rounds = async (count: number): Promise<void> => {
      for (let round = 0; round < count; round += 1) await (await startWorker('worker.mjs', name)).terminate()
    }
    await rounds(2)
    const before = openDescriptors()
    await rounds(10)
    await until(() => openDescriptors() <= before, 'every descriptor to be closed')
  })
})
