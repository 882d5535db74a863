// Bases: making, running, stopping, inspecting and closing them.
import { BaseFlag, EV, EventBase, EventConfig, LoopFlag, setLogCallback } from '../../../index.js'
import { operationsOn, withBase } from '../operation.js'
import { abortReason, complete, nonsense, options, orNonsense, polluted } from '../values.js'
import type { Operation, World } from '../world.js'

/** The number of bases that are open at the same time. */
const MOST_BASES = 4

/** Makes a base with a random configuration. */
export function makeBase(world: World): void {
  const { random } = world
  if (world.bases.filter((base) => !base.closed).length >= MOST_BASES) return
  const config = new EventConfig()
  const method = random.pick(['epoll', 'poll', 'select'])
  if (random.chance(0.5))
    for (const other of ['epoll', 'poll', 'select']) if (other !== method) config.avoidMethod(other)
  if (random.chance(0.3)) config.setFlags(random.pick([BaseFlag.EPOLL_USE_CHANGELIST, BaseFlag.USE_SIGNALFD]))
  if (random.chance(0.3))
    config.setFlags(random.pick([BaseFlag.NOLOCK, BaseFlag.PRECISE_TIMER, BaseFlag.NO_CACHE_TIME]))
  if (random.chance(0.5)) config.setPriorities(random.between(1, 5))
  if (random.chance(0.2))
    config.setMaxDispatchInterval({
      callbacks: random.between(1, 4),
      interval: 1,
      minPriority: random.below(3),
    })
  if (random.chance(0.3)) config.debug()
  if (random.chance(0.2)) config.measure()
  if (random.chance(0.1)) config.useCoarseClock()
  const base = world.call('new EventBase', [method], () => new EventBase(config))
  if (base !== undefined) world.bases.push(world.label(base, 'base'))
}

/** Runs the blocking loop with an end: an exit that is set before. */
function blockingLoop(world: World, base: EventBase, flags: number): void {
  const name = `${world.nameOf(base)}.loop`
  const after = world.random.below(4)
  if (world.call('loopExit', [after], () => base.loopExit(after)) === undefined) return
  loop(world, base, name, flags)
}

function loop(world: World, base: EventBase, name: string, flags: unknown): void {
  const mayRun = world.isRunning(base)
  world.enterLoop(base)
  try {
    const result = world.call(name.replace(/#\d+/, ''), [name, flags], () => {
      try {
        return base.loop(flags as number)
      } catch (error) {
        if ((error as { code?: unknown }).code === 'ERR_EVENT_REENTRANT' && !mayRun) {
          world.judge.fault(`${name}: ERR_EVENT_REENTRANT although no loop of the base runs`)
        }
        throw error
      }
    })
    if (result !== undefined && result !== 0 && result !== 1)
      world.judge.fault(`${name} returned ${String(result)}`)
  } finally {
    world.leaveLoop(base)
  }
}

function startRun(world: World, base: EventBase): void {
  const { random } = world
  const signal: unknown = random.chance(0.4) ? world.abortSignal() : undefined
  const lookalike = { aborted: false, addEventListener: nonsense(world) }
  const given = random.chance(0.1) ? { signal: lookalike } : options(world, { signal })
  const mayRun = world.isRunning(base)
  world.enterLoop(base)
  // The native loop may end later than the promise settles.
  const leave = (): void => void setImmediate(() => world.leaveLoop(base))
  const promise = world.call('base.run', [base, given], () => polluted(world, () => base.run(given)))
  if (promise === undefined) {
    world.leaveLoop(base)
    return
  }
  promise.catch((error: unknown) => {
    // A getter of the options may have started another run.
    const isAlone = !mayRun && world.loopsOf(base) <= 1
    if ((error as { code?: unknown }).code === 'ERR_EVENT_REENTRANT' && isAlone) {
      world.judge.fault('base.run: ERR_EVENT_REENTRANT although no loop of the base runs')
    }
  })
  world.track('base.run', promise, { resolved: leave, rejected: leave })
}

const withWatch = operationsOn((world) => world.random.some(world.watches))
const withWatcher = operationsOn((world) => world.random.some(world.watchers))
const withController = operationsOn((world) => world.random.some(world.aborts))

/** A descriptor and bits for an event on it. */
function interest(world: World): [unknown, unknown] {
  const what = world.random.pick([
    EV.READ,
    EV.WRITE,
    EV.READ | EV.WRITE,
    EV.READ | EV.ET,
    EV.CLOSED | EV.READ,
  ])
  return [orNonsense(world, world.anyFd()), orNonsense(world, what)]
}

export const loops: readonly Operation[] = [
  { name: 'make a base', weight: 2, run: makeBase },
  withBase('close a base', 0.5, (world, base) => void world.invoke('base', base, 'close', [])),
  withBase('poll once', 8, (world, base) => loop(world, base, 'base.loop', LoopFlag.NONBLOCK)),
  withBase('loop with nonsense', 0.5, (world, base) => {
    const flags = nonsense(world)
    // `undefined` means no flags: such a loop may not end.
    if (flags !== undefined) loop(world, base, 'base.loop', flags)
  }),
  withBase('block', 3, (world, base) => {
    blockingLoop(
      world,
      base,
      world.random.pick([0, LoopFlag.ONCE, LoopFlag.NO_EXIT_ON_EMPTY, LoopFlag.NONBLOCK]),
    )
  }),
  withBase('run', 3, startRun),
  withBase('stop', 3, (world, base) => {
    const { random } = world
    const method = random.pick(['loopBreak', 'loopContinue', 'loopExit'])
    world.invoke(
      'base',
      base,
      method,
      method === 'loopExit' && random.chance(0.5) ? [orNonsense(world, random.below(3))] : [],
    )
  }),
  withBase('read a property of a base', 4, (world, base) =>
    world.read(
      'base',
      base,
      'method',
      'signalMethod',
      'features',
      'priorities',
      'closed',
      'gotExit',
      'gotBreak',
      'stats',
      'runningEvent',
    ),
  ),
  withBase(
    'inspect a base',
    2,
    (world, base) =>
      void world.invoke(
        'base',
        base,
        world.random.pick(['events', 'dump', 'resetStats', 'hasRef', 'now', 'monotonic', 'updateCachedTime']),
        [],
      ),
  ),
  withBase(
    'count events',
    1,
    (world, base) =>
      void world.invoke('base', base, world.random.pick(['countEvents', 'maxEvents']), [
        orNonsense(world, world.random.between(1, 7)),
        orNonsense(world, true),
      ]),
  ),
  withBase(
    'set the priorities',
    1,
    (world, base) =>
      void world.invoke('base', base, 'setPriorities', [orNonsense(world, world.random.between(1, 6))]),
  ),
  withBase(
    'keep the process alive',
    0.5,
    (world, base) => void world.invoke('base', base, world.random.pick(['ref', 'unref']), []),
  ),
  withBase('reinitialize', 0.3, (world, base) => void world.invoke('base', base, 'reinit', [])),
  withBase(
    'activate by descriptor',
    1,
    (world, base) =>
      void world.invoke('base', base, 'activateByFd', [
        orNonsense(world, world.anyFd()),
        orNonsense(world, EV.READ),
      ]),
  ),
  withBase(
    'activate by signal',
    0.5,
    (world, base) =>
      void world.invoke('base', base, 'activateBySignal', [
        orNonsense(world, world.random.pick(['SIGUSR2', 'SIGHUP', 12])),
      ]),
  ),
  withBase('once', 3, (world, base) => {
    let calls = 0
    const [fd, what] = interest(world)
    const timeout = world.random.chance(0.5)
    const callback = world.callback('once', base, () => {
      calls += 1
      if (calls > 1) world.judge.fault('once: called twice')
    })
    const args = timeout
      ? [-1, EV.TIMEOUT, callback, orNonsense(world, world.random.below(3))]
      : [fd, what, callback, orNonsense(world, undefined)]
    world.invoke('base', base, 'once', args)
  }),
  withBase('wait', 3, (world, base) => {
    const [fd, what] = interest(world)
    const signal = world.random.chance(0.4) ? world.abortSignal() : undefined
    const given = options(world, { timeout: world.random.below(4), signal })
    const promise = polluted(world, () => world.invoke('base', base, 'wait', [fd, what, given]))
    world.track('base.wait', promise as Promise<number> | undefined)
  }),
  withBase('watch', 1, (world, base) => {
    const [fd, what] = interest(world)
    const watch = world.invoke('base', base, 'watch', [
      fd,
      what,
      options(world, { signal: world.abortSignal() }),
    ])
    world.keep(world.watches, watch as AsyncIterableIterator<number, undefined> | undefined)
  }),
  withWatch('use a watch', 3, (world, watch) => {
    const method = world.random.pick(['next', 'next', 'next', 'return'])
    world.track(`watch.${method}`, world.invoke('watch', watch, method, []) as Promise<unknown> | undefined)
  }),
  withBase('add a watcher', 1, (world, base) => {
    const kind = world.random.pick(['onPrepare', 'onCheck'])
    const watcher = world.invoke('base', base, kind, [orNonsense(world, world.callback(kind, base))])
    if (watcher !== undefined) world.keep(world.watchers, watcher as (typeof world.watchers)[number])
  }),
  withWatcher('close a watcher', 1, (world, watcher) => void world.invoke('watcher', watcher, 'close', [])),
  withBase('make a common timeout', 1, (world, base) => {
    const made = world.invoke('base', base, 'commonTimeout', [orNonsense(world, world.random.between(0, 5))])
    world.keep(world.commonTimeouts, made as (typeof world.commonTimeouts)[number] | undefined)
  }),
  withController(
    'abort',
    3,
    (world, controller) => void world.call('abort', [], () => controller.abort(abortReason())),
  ),
  {
    name: 'configure',
    weight: 1,
    run(world) {
      const { random } = world
      const config = new EventConfig()
      const method = random.pick([
        'avoidMethod',
        'requireFeatures',
        'setFlags',
        'setMaxDispatchInterval',
        'setPriorities',
        'measure',
        'debug',
        'setNumCpusHint',
      ])
      const argument =
        method === 'setMaxDispatchInterval'
          ? complete(world, { interval: 1, callbacks: 2, minPriority: 0 })
          : nonsense(world)
      world.invoke('config', config, method, [argument])
      const base = world.call(
        'new EventBase',
        [],
        () => new EventBase(random.chance(0.2) ? (nonsense(world) as EventConfig) : config),
      )
      base?.close()
    },
  },
  {
    name: 'set the log callback',
    weight: 0.3,
    run(world) {
      const callback = orNonsense(world, world.callback('log', undefined))
      if (callback !== undefined)
        world.call('setLogCallback', [callback], () => setLogCallback(callback as () => void))
    },
  },
]
