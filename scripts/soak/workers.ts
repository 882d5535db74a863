// Two workers that share a port with a proxy each. One of them is terminated at random, and another one started.
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

import { EventBase } from '../../index.js'
import type { InternetAddress } from '../../net.js'
import { forwardByConnectingRelays, forwardByStreams } from './forward.js'
import { atRandom, HOST, ready, upstream } from './program.js'

/** What the workers proxy with. */
const kind = process.argv[3] === 'streams' ? 'streams' : 'relays'

async function work(port: number): Promise<void> {
  const base = new EventBase()
  const where = { host: HOST, port, reusePort: true }
  const forward = kind === 'streams' ? forwardByStreams : forwardByConnectingRelays
  const listener = forward(base, where)
  parentPort?.postMessage((listener.address as InternetAddress).port)
  parentPort?.once('message', () => {
    listener.close()
    parentPort?.postMessage('closed')
  })
  await base.run()
}

async function start(wanted: number): Promise<{ worker: Worker; port: number }> {
  const worker = new Worker(new URL(import.meta.url), {
    workerData: wanted,
    argv: [String(upstream.port), kind],
  })
  const [port] = (await once(worker, 'message')) as [number]
  return { worker, port }
}

/**
 * Closes the listener of a worker. A descriptor belongs to the callback of the listener until a stream or a relay takes
 * it, and nothing closes it if the worker is terminated in between.
 */
async function stopAccepting(worker: Worker): Promise<void> {
  worker.postMessage('close')
  await once(worker, 'message')
}

async function lead(): Promise<void> {
  const { worker, port } = await start(0)
  const workers = [worker, (await start(port)).worker]
  const replace = atRandom(300, 2500, async () => {
    const index = Math.random() < 0.5 ? 0 : 1
    await stopAccepting(workers[index] as Worker)
    await workers[index]?.terminate()
    workers[index] = (await start(port)).worker
  })
  ready([{ target: { host: HOST, port }, terms: 'plain' }], { setDisturbed: replace })
}

await (isMainThread ? lead() : work(workerData as number))
