import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

import { fixture } from './child.js'

/** Starts a worker from the folder of fixtures and waits for its first message. */
export async function startWorker(name: string, workerData: unknown): Promise<Worker> {
  const worker = new Worker(fixture(name), { workerData })
  await Promise.race([once(worker, 'message'), exitOf(worker).then(endedEarly)])
  return worker
}

/** The exit code. Call it before waiting for anything else: a worker may send a message and end in one turn of Node's loop. */
export function exitOf(worker: Worker): Promise<number> {
  return new Promise((resolve) => void worker.once('exit', resolve))
}

function endedEarly(): never {
  throw new Error('the worker ended before it sent a message')
}
