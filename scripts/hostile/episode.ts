// One episode: a world, random operations in it, its end, and what is checked afterwards.
import { setImmediate, setTimeout } from 'node:timers/promises'

import { LoopFlag, setLogCallback } from '../../index.js'
import { descriptorTargets } from '../lib/system.mjs'
import { connections } from './operations/connections.js'
import { datagrams } from './operations/datagrams.js'
import { events, SIGNALS } from './operations/events.js'
import { enterWorld, hosts } from './operations/hosts.js'
import { loops, makeBase } from './operations/loops.js'
import { queues } from './operations/queues.js'
import { relays } from './operations/relays.js'
import { closeOwned, openSomething, sockets } from './operations/sockets.js'
import { streams } from './operations/streams.js'
import { threads } from './operations/threads.js'
import type { Random } from './random.js'
import { World, type Operation, type WorldSettings } from './world.js'

/** The operations, by area. Each episode uses some areas more than others. */
const AREAS = { loops, events, sockets, queues, streams, relays, connections, datagrams, hosts, threads }

/** Milliseconds that an expected event may take: only what never happens takes them. */
const PATIENCE = 30_000

/** Milliseconds for which the bases run at the end while bytes arrive. What has not arrived by then is not checked. */
const MOVING = 500

/** Waits until `check` returns true. Returns whether it did in time. */
async function until(check: () => boolean): Promise<boolean> {
  const giveUp = performance.now() + PATIENCE
  for (let round = 0; !check(); round += 1) {
    if (performance.now() > giveUp) return false
    if (round < 20) await setImmediate()
    else await setTimeout(2)
  }
  return true
}

function chooseOperations(random: Random, inWorker: boolean): Operation[] {
  return Object.entries(AREAS).flatMap(([area, operations]) => {
    // Connections are passed to callbacks; a worker that ends then cannot record them.
    if (inWorker && area === 'connections') return []
    const factor = area === 'threads' ? 1 : random.pick([0, 0.3, 1, 1, 1, 4])
    return factor === 0
      ? []
      : operations.map((operation) => ({ ...operation, weight: operation.weight * factor }))
  })
}

/** Makes a world, and performs operations in it. */
export async function perform(settings: WorldSettings): Promise<World> {
  const { random } = settings
  const world = new World(settings, chooseOperations(random, settings.inWorker))
  enterWorld(world)
  setLogCallback(() => {})
  for (let count = random.between(1, 3); count > 0; count -= 1) makeBase(world)
  for (let count = random.below(6); count > 0; count -= 1) openSomething(world)
  const pause = random.pick([0.02, 0.1, 0.3])
  while (world.hasBudget) {
    world.step()
    if (random.chance(pause)) await (random.chance(0.7) ? setImmediate() : setTimeout(random.below(3)))
  }
  return world
}

/** Ends workers and proxies. */
async function endThreads(world: World): Promise<void> {
  for (const end of world.atEnd) {
    let hasEnded = false
    const ending = end().finally(() => (hasEnded = true))
    if (!(await until(() => hasEnded))) {
      world.judge.fault(`a worker or a proxy does not end; not settled are: ${world.pending.join(', ')}`)
      return
    }
    await ending
  }
}

/** Runs the bases and reads while bytes of checked flows arrive, because operations alone read few of them. */
async function moveBytes(world: World): Promise<void> {
  const bytesRead = (): number => world.flows.reduce((sum, { tape }) => sum + tape.read, 0)
  const giveUp = performance.now() + MOVING
  while (performance.now() < giveUp) {
    const before = bytesRead()
    for (const base of world.bases) {
      if (!base.closed && !world.isRunning(base)) world.invoke('base', base, 'loop', [LoopFlag.NONBLOCK])
    }
    // A base that runs inside the host's loop continues here.
    await setImmediate()
    for (const flow of world.flows) flow.drain()
    if (bytesRead() === before) return
  }
}

/** Ends everything in a world: in any order first, and then the bases and what is left. */
export async function finish(world: World): Promise<void> {
  const { random } = world
  // The native threads end while the bases still run.
  await endThreads(world)
  world.over = true
  if (random.chance(0.5)) await moveBytes(world)
  const handles = [
    ...world.streams.map(({ stream }) => stream),
    ...world.relays,
    ...world.listeners,
    ...world.watchers,
    ...world.remotes,
  ]
  for (const handle of random.shuffle(handles))
    if (random.chance(0.3)) world.invoke('handle', handle, 'close', [])
  if (random.chance(0.5)) await setTimeout(random.below(5))
  for (const base of random.shuffle(world.bases)) world.invoke('base', base, 'close', [])
  if (world.bases.some((base) => !base.closed)) world.judge.fault('a base is not closed after close()')
  for (const { stream } of world.streams)
    if (!stream.closed) world.judge.fault('a stream is open after its base was closed')
  for (const listener of world.listeners)
    if (!listener.closed) world.judge.fault('a listener is open after its base was closed')
  for (const watch of world.watches) world.track('watch.next', watch.next())
  if (!(await until(() => world.pending.length === 0))) {
    world.judge.fault(`promises are not settled after their bases were closed: ${world.pending.join(', ')}`)
  }
  // The results of connects are owned by now.
  for (const check of world.checks) check()
  for (const fd of world.owned) closeOwned(world, fd)
}

/** Runs an episode, and checks that nothing is left of it. Returns the world, whose judge has the faults. */
export async function runEpisode(settings: WorldSettings, heard: Set<string>): Promise<World> {
  const before = descriptorTargets()
  const world = await perform(settings)
  await finish(world)
  await checkDescriptors(world, before)
  if (world.signals > 0) await checkSignals(world, heard)
  if (world.random.chance(0.05)) await checkIdle(world)
  enterWorld(undefined)
  return world
}

/** The descriptors of one list that the other does not have. */
function difference(one: ReadonlyMap<number, string>, other: ReadonlyMap<number, string>): string[] {
  return [...one]
    .filter(([fd, target]) => other.get(fd) !== target)
    .map(([fd, target]) => `${fd} (${target})`)
}

async function checkDescriptors(world: World, before: ReadonlyMap<number, string>): Promise<void> {
  if (world.forgiveDescriptors) return
  let left: string[] = []
  let missing: string[] = []
  const isClean = await until(() => {
    const after = descriptorTargets()
    left = difference(after, before)
    missing = difference(before, after)
    return left.length === 0 && missing.length === 0
  })
  if (isClean) return
  if (left.length > 0)
    world.judge.fault(`descriptors are open after all bases are closed: ${left.join(', ')}`)
  if (missing.length > 0) world.judge.fault(`descriptors of the process were closed: ${missing.join(', ')}`)
}

/** Checks that the listeners of the process still receive signals. */
async function checkSignals(world: World, heard: Set<string>): Promise<void> {
  for (const signal of SIGNALS) {
    heard.delete(signal)
    process.kill(process.pid, signal)
    if (!(await until(() => heard.has(signal))))
      world.judge.fault(`process.on('${signal}') no longer receives the signal`)
  }
}

/** Checks that nothing uses the processor when all bases are closed. */
async function checkIdle(world: World): Promise<void> {
  globalThis.gc?.()
  // Compilation and collection in the background may take one such interval, but not all.
  let most = 0
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const before = process.cpuUsage()
    const start = performance.now()
    await setTimeout(20)
    const { user, system } = process.cpuUsage(before)
    most = (user + system) / 1000 / (performance.now() - start)
    if (most < 0.3) return
  }
  world.judge.fault(`${Math.round(most * 100)} % of a processor are used after all bases are closed`)
}
