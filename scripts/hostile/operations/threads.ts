// Other threads: handles to shared bases, workers that end at any time, and proxies.
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'

import { EV, EventBase, type SharedBase } from '../../../index.js'
import { proxy, socket, type InternetAddress, type TcpProxy } from '../../../net.js'
import { FlowModel } from '../flow-model.js'
import { operationsOn } from '../operation.js'
import { complete, nonsense, options, orNonsense } from '../values.js'
import type { Operation, World } from '../world.js'
import { closeAfterEnd, workerOptions } from '../worker-state.js'
import { End } from './relays.js'
import { closeOwned } from './sockets.js'

const withRemote = operationsOn((world) => world.random.some(world.remotes))

function remoteOperations(): Operation[] {
  return [
    {
      name: 'share a base',
      weight: 1,
      run(world) {
        const base = world.base()
        if (base === undefined) return
        const token = world.invoke('base', base, 'share', [])
        world.keep(world.tokens, token as SharedBase | undefined)
        const event = world.random.some(world.events)
        if (event === undefined) return
        const id = world.call('event.id', [], () => event.event.id)
        if (id === undefined) return
        world.keep(world.staleIds, id)
      },
    },
    {
      name: 'connect to a shared base',
      weight: 1,
      run(world) {
        const token = orNonsense(world, world.random.some(world.tokens)) as SharedBase
        world.keep(
          world.remotes,
          world.call('EventBase.connect', [token], () => EventBase.connect(token)),
        )
      },
    },
    withRemote('use a shared base', 3, (world, remote) => {
      const { random } = world
      const method = random.pick(['activate', 'activate', 'add', 'del', 'loopExit', 'loopBreak', 'close'])
      const id = orNonsense(world, random.some(world.staleIds))
      const args: Record<string, unknown[]> = {
        activate: [id, orNonsense(world, EV.READ)],
        add: [id, orNonsense(world, random.below(5))],
        del: [id],
        loopExit: [orNonsense(world, random.below(3))],
      }
      world.remoteIds.add(id)
      world.invoke('remote', remote, method, args[method] ?? [])
    }),
  ]
}

/** Loads the program of a worker: the flags of this process do not make a worker read TypeScript. */
const PROGRAM = `import('tsx/esm/api').then(({ register }) => {
  register()
  return import(${JSON.stringify(new URL('../worker.ts', import.meta.url).href)})
})`

/** Starts a worker that performs operations of its own, and ends it at some time. */
function startWorker(world: World): void {
  if (world.settings.inWorker || world.hasThreads) return
  world.hasThreads = true
  const { random } = world
  const seed = random.next()
  const { options: given, state } = workerOptions({
    seed,
    budget: random.between(20, 200),
    folder: world.settings.folder,
    log: world.settings.log,
  })
  world.note(`starting a worker with the seed ${seed}`)
  const worker = new Worker(PROGRAM, given)
  const exit = new Promise<void>((resolve) => void worker.once('exit', () => resolve()))
  worker.on('message', (faults: string[]) => {
    for (const fault of faults) world.judge.fault(`in a worker: ${fault}`)
  })
  worker.on('error', (error) => world.judge.rejected('worker', error))
  const delay = random.chance(0.3) ? undefined : random.below(60)
  world.atEnd.push(async () => {
    if (delay !== undefined) {
      await Promise.race([
        (async () => {
          await state.started()
          await new Promise((resolve) => void setTimeout(resolve, delay))
        })(),
        exit,
      ])
      world.note('terminating the worker')
      await worker.terminate()
    }
    await exit
    const closed = closeAfterEnd(state)
    if (closed === undefined) {
      world.note('the worker ended while it handed descriptors over')
      world.forgiveDescriptors = true
    } else if (closed.length > 0) {
      world.judge.fault(
        `the descriptors ${closed.join(', ')} of a worker's program were closed with the worker`,
      )
    }
  })
}

/** A server that sends back what it receives. */
async function startEcho(sockets: Set<Socket>): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (peer) => {
    sockets.add(peer)
    peer.on('error', () => {})
    peer.pipe(peer)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

/**
 * A connection through a proxy to {@link startEcho}, whose bytes come back unaltered. It uses a descriptor of its own,
 * because a socket of Node emits 'end' in place of an error if bytes and a reset arrive before one poll.
 */
interface Client {
  readonly end: End
  readonly flow: FlowModel
  /** The number of writes that follow. */
  writes: number
  readonly endsItsSide: boolean
}

function makeClient(world: World, port: number): Client | undefined {
  const { random } = world
  const target = { host: '127.0.0.1', port }
  const fd = world.handingOver(() => {
    const made = world.call('socket.connect', [target], () => socket.connect(target))
    if (made !== undefined) world.own(made)
    return made
  })
  if (fd === undefined) return undefined
  world.reserve(fd)
  const end = new End(fd)
  const flow = new FlowModel(
    world,
    `descriptor ${fd}, through a proxy`,
    { write: (bytes) => end.write(bytes), read: () => end.read() },
    true,
  )
  return { end, flow, writes: random.between(1, 4), endsItsSide: random.chance(0.6) }
}

/** Writes, ends and reads what is possible. */
function pump({ random }: World, client: Client): void {
  const { end, flow } = client
  if (client.writes > 0) {
    client.writes -= 1
    flow.write()
  } else if (client.endsItsSide && !flow.tape.ended) {
    flow.tape.ended = end.shutdown()
  }
  if (random.chance(0.8)) flow.read()
}

async function useProxy(world: World): Promise<void> {
  const { random } = world
  const sockets = new Set<Socket>()
  const server = await startEcho(sockets)
  const closed = once(server, 'close')
  try {
    const { port } = server.address() as AddressInfo
    const upstream = random.chance(0.8)
      ? { host: '127.0.0.1', port }
      : [
          { host: '127.0.0.1', port },
          { host: '127.0.0.1', port: 1 },
        ]
    const given = {
      listen: complete(world, { host: '127.0.0.1', port: 0 }),
      upstream: orNonsense(world, upstream),
      threads: random.between(1, 2),
      onProblem: () => world.misbehave(),
      ...options(world, {
        idleTimeout: 50,
        connectTimeout: 100,
        balance: 'least-connections',
        health: options(world, { failures: 1, backoff: 5 }),
        limit: complete(world, { rate: 1e6 }),
        totalLimit: complete(world, { rate: 1e6, burst: 1000 }),
        lookupInterval: 1000,
        addresses: 'one',
      }),
    }
    const promise = world.call('proxy', [given], () => proxy(given as never))
    world.track('proxy', promise)
    const made = await promise?.catch(() => undefined)
    if (made === undefined) return
    world.note('a proxy runs')
    world.proxies.push(made)
    await load(world, made)
  } finally {
    for (const each of sockets) each.destroy()
    server.close()
    await closed
  }
}

async function load(world: World, made: TcpProxy): Promise<void> {
  const clients = new Set<Client>()
  const pumping = setInterval(() => {
    for (const client of clients) {
      pump(world, client)
      if (!world.random.chance(0.02)) continue
      clients.delete(client)
      closeOwned(world, client.end.fd)
    }
  }, 1)
  try {
    await control(world, made, clients)
  } finally {
    clearInterval(pumping)
    for (const { end, flow } of clients) {
      flow.drain()
      closeOwned(world, end.fd)
    }
  }
}

/** Connects clients, controls the proxy meanwhile, and closes it. */
async function control(world: World, made: TcpProxy, clients: Set<Client>): Promise<void> {
  const { random } = world
  const { port } = made.address as InternetAddress
  for (let count = random.below(5); count >= 0; count -= 1) {
    const client = makeClient(world, port)
    if (client !== undefined) clients.add(client)
    if (random.chance(0.3)) {
      const list = orNonsense(
        world,
        random.pick<unknown>([
          { host: '127.0.0.1', port: 1 },
          nonsense(world),
          [{ host: '127.0.0.1', port }],
        ]),
      )
      world.track(
        'proxy.setUpstreams',
        world.invoke('proxy', made, 'setUpstreams', [list]) as Promise<void> | undefined,
      )
    }
    world.read('proxy', made, 'stats', 'address', 'threads')
    await new Promise((resolve) => void setTimeout(resolve, random.below(4)))
  }
  if (random.chance(0.5)) {
    const promise = world.invoke('proxy', made, 'drain', [options(world, { timeout: random.below(20) })])
    world.track('proxy.drain', promise as Promise<void> | undefined)
  }
  const promise = world.call('proxy.close', [], () => made.close())
  world.track('proxy.close', promise)
  await promise
}

export const threads: readonly Operation[] = [
  ...remoteOperations(),
  { name: 'start a worker', weight: 0.02, run: startWorker },
  {
    name: 'start a proxy',
    weight: 0.05,
    run(world) {
      if (world.settings.inWorker || world.hasThreads) return
      world.hasThreads = true
      const done = useProxy(world)
      world.track('use of a proxy', done)
      world.atEnd.push(() => done.catch(() => {}))
    },
  },
]
