import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

import { expect, it } from 'vitest'

import { socket } from '../../net.js'
import { until } from '../support/base.js'
import { fixture } from '../support/child.js'

/** What a worker owns, by the descriptors and the port that show whether it still exists. */
interface Owned {
  /** The other ends of descriptors that end with the worker. */
  ends: number[]
  /** Descriptors that stay open. */
  open: number[]
  port?: number
}

function isFree(port: number): boolean {
  try {
    socket.close(socket.listen({ host: '127.0.0.1', port }))
    return true
  } catch {
    return false
  }
}

it.each(['a descriptor', 'a relay', 'a listener', 'a proxy'])(
  'terminate() ends what a worker owns: %s',
  async (name) => {
    const worker = new Worker(fixture('owner.mjs'), { workerData: name })
    const [{ ends, open, port }] = (await once(worker, 'message')) as [Owned]
    for (const end of ends) expect(socket.read(end, Buffer.alloc(1))).toBe(-1)
    if (port !== undefined) expect(isFree(port)).toBe(false)
    await worker.terminate()
    const buffer = Buffer.alloc(1)
    await until(() => ends.every((end) => socket.read(end, buffer) === 0), 'the peers to see the end')
    for (const fd of [...ends, ...open]) socket.close(fd)
    if (port === undefined) return
    // A port can be bound once no other socket listens at it.
    await until(() => isFree(port), 'the port to be free')
  },
)
