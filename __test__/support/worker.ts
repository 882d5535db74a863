import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

import { fixture } from './child.js'

/** Starts a worker of the folder of fixtures and waits for its first message. */
export async function startWorker(name: string, workerData: unknown): Promise<Worker> {
  const worker = new Worker(fixture(name), { workerData })
  await Promise.race([once(worker, 'message'), once(worker, 'exit').then(endedEarly)])
  return worker
}

function endedEarly(): never {
  throw new Error('the worker ended before it said anything')
}
