import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

import { describe, expect, it } from 'vitest'

import { LoopResult } from '../../index.js'
import { openBase } from '../support/base.js'
import { fixture } from '../support/child.js'
import { exitOf } from '../support/worker.js'

describe('in a worker', () => {
  it('a base works as on the main thread', async () => {
    const worker = new Worker(fixture('worker.mjs'), { workerData: 'at work' })
    const ended = exitOf(worker)
    expect(await once(worker, 'message')).toEqual([{ result: 1, again: 1, order: ['read', 'timer'] }])
    // Nothing is left that would keep it alive.
    expect(await ended).toBe(0)
  })

  it('bases run concurrently with each other and with one on the main thread', async () => {
    const base = openBase()
    const ticking = base.newTimer(() => {}, { persist: true }).add(0.5)
    const running = base.run()
    const workers = Array.from(
      { length: 4 },
      () => new Worker(fixture('worker.mjs'), { workerData: 'at work' }),
    )
    const messages = await Promise.all(workers.map((worker) => once(worker, 'message')))
    for (const [message] of messages) expect(message).toMatchObject({ result: 1, again: 1 })
    await Promise.all(workers.map((worker) => worker.terminate()))
    ticking.del()
    expect(await running).toBe(LoopResult.EMPTY)
  })

  it('an exception of a callback under run() ends the worker with an error event', async () => {
    const worker = new Worker(fixture('worker.mjs'), { workerData: 'throwing in run' })
    const ended = exitOf(worker)
    const [error] = (await once(worker, 'error')) as [Error]
    expect(error.message).toBe('thrown in a worker')
    expect(await ended).toBe(1)
  })

  it.each(['exiting in a callback of run', 'exiting in a callback of loop'])(
    'process.exit() ends the worker: %s',
    async (name) => {
      const worker = new Worker(fixture('worker.mjs'), { workerData: name })
      expect(await exitOf(worker)).toBe(3)
    },
  )
})
