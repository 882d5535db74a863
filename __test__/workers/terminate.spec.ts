import { existsSync } from 'node:fs'
import { join } from 'node:path'

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

/** How a connection has ended: `'end'` or the code of an error; `undefined` while it is open. */
function endOf(fd: number): string | undefined {
  try {
    return socket.read(fd, Buffer.alloc(1)) === 0 ? 'end' : undefined
  } catch (error) {
    return (error as SystemError).code
  }
}

describe('terminate() closes the connection of', () => {
  it.each([
    ['a buffered stream', 'end'],
    ['a buffered stream that was given a descriptor', 'end'],
    ['a buffered stream whose numeric target is connected to', 'end'],
    ['a Duplex', 'end'],
    // Its other end did not end, so the stream must not look complete.
    ['a relay', 'ECONNRESET'],
  ])('%s', async (name, expected) => {
    const listening = socket.listen({ host: '127.0.0.1', port: 0 })
    onTestFinished(() => socket.close(listening))
    const { port } = socket.address(listening) as InternetAddress
    const worker = await startWorker('worker.mjs', { name, port })
    let fd = -1
    await until(() => (fd = socket.accept(listening)) >= 0, 'the connection')
    onTestFinished(() => socket.close(fd))
    expect(socket.read(fd, Buffer.alloc(1))).toBe(-1)
    await worker.terminate()
    let seen: string | undefined
    await until(() => (seen = endOf(fd)) !== undefined, 'the end of the connection')
    expect(seen).toBe(expected)
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
