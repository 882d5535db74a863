// The program of a worker: operations of its own until it is terminated.
import { parentPort, workerData } from 'node:worker_threads'

import { finish, perform } from './episode.js'
import { Judge } from './judge.js'
import { Random } from './random.js'
import { WorkerState, type WorkerData } from './worker-state.js'

const { seed, budget, folder, memory, log } = workerData as WorkerData
const state = new WorkerState(memory)
const outside = new Judge()
process.on('uncaughtException', (error) => outside.rejected('uncaught exception', error))
process.on('unhandledRejection', (error) => outside.rejected('unhandled rejection', error))

state.start()
const world = await perform({
  random: new Random(seed),
  budget,
  inWorker: true,
  log,
  onOwn: (fd, owns) => state.own(fd, owns),
  onHandOver: (depth) => state.handOver(depth),
  folder,
})
await finish(world)
parentPort?.postMessage([...world.judge.faults, ...outside.faults])
process.exit(0)
