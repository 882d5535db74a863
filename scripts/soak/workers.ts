// Two workers that share a port with a proxy each. One of them is terminated at random, and another one started.
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

import { EV, EventBase } from '../../index.js'
import { BufferEvent, listen, socket, type InternetAddress, type Listener } from '../../net.js'
import { forwardByConnectingRelays, forwardByStreams } from './forward.js'
import { atRandom, HOST, ready, upstream } from './program.js'

/** What the workers proxy with. */
const kind = process.argv[3] === 'streams' ? 'streams' : 'relays'

/**
 * Takes one connection, whose listener is returned. A descriptor belongs to the callback of the listener until a stream or
 * a relay takes it, and nothing closes it if the worker is terminated in between. That time is short once the code is
 * compiled, which the first connection would wait for.
 */
function takeOne(base: EventBase): Promise<Listener<InternetAddress>> {
  return new Promise((resolve) => {
    const listener = listen(base, { host: HOST, port: 0 }, (fd) => {
      const stream = new BufferEvent(base, fd, { limit: undefined })
      stream.setCallbacks({})
      stream.enable(EV.READ | EV.WRITE)
      stream.close()
      socket.close(client)
      resolve(listener)
    })
    const client = socket.connect(listener.address)
  })
}

async function work(port: number): Promise<void> {
  const base = new EventBase()
  const taken = takeOne(base)
  const running = base.run()
  const first = await taken
  const where = { host: HOST, port, reusePort: true }
  const forward = kind === 'streams' ? forwardByStreams : forwardByConnectingRelays
  const { address } = forward(base, where)
  first.close()
  parentPort?.postMessage((address as InternetAddress).port)
  await running
}

async function start(wanted: number): Promise<{ worker: Worker; port: number }> {
  const worker = new Worker(new URL(import.meta.url), {
    workerData: wanted,
    argv: [String(upstream.port), kind],
  })
  const [port] = (await once(worker, 'message')) as [number]
  return { worker, port }
}

async function lead(): Promise<void> {
  const { worker, port } = await start(0)
  const workers = [worker, (await start(port)).worker]
  const replace = atRandom(300, 2500, async () => {
    const index = Math.random() < 0.5 ? 0 : 1
    await workers[index]?.terminate()
    workers[index] = (await start(port)).worker
  })
  ready([{ target: { host: HOST, port }, terms: 'plain' }], { setDisturbed: replace })
}

await (isMainThread ? lead() : work(workerData as number))
