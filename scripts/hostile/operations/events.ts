// Events of every kind.
import { EV, type Event, type EventBase } from '../../../index.js'
import { EventModel } from '../event-model.js'
import { operationsOn, withBase } from '../operation.js'
import { nonsense, options, orNonsense, polluted } from '../values.js'
import type { Operation, World } from '../world.js'

/** The signals that are sent to this process, which has listeners for them. */
export const SIGNALS = ['SIGUSR2', 'SIGHUP', 'SIGWINCH'] as const

const CHOICES = [
  EV.READ,
  EV.WRITE,
  EV.READ | EV.PERSIST,
  EV.WRITE | EV.PERSIST,
  EV.READ | EV.WRITE | EV.ET | EV.PERSIST,
  EV.CLOSED | EV.PERSIST,
  EV.READ | EV.TIMEOUT,
]

function makeEvent(world: World, base: EventBase): void {
  const { random } = world
  const kind = random.pick([
    'newEvent',
    'newEvent',
    'newEvent',
    'newTimer',
    'newTimer',
    'user',
    ...(world.settings.inWorker ? [] : ['newSignal']),
  ])
  const model = new EventModel(world, base, '')
  const given = options(world, { priority: random.below(4), persist: random.chance(0.5) })
  const callback = orNonsense(world, model.callback)
  const args = {
    newEvent: () => [
      orNonsense(world, world.anyFd()),
      orNonsense(world, random.pick(CHOICES)),
      callback,
      given,
    ],
    user: () => [-1, random.pick([0, EV.PERSIST]), callback, given],
    newTimer: () => [callback, given],
    newSignal: () => [
      orNonsense(world, random.pick([...SIGNALS, 'SIGKILL', 'SIGNONE', 9, 64])),
      callback,
      given,
    ],
  }[kind as 'newEvent' | 'user' | 'newTimer' | 'newSignal']()
  const event = polluted(world, () => world.invoke('base', base, kind === 'user' ? 'newEvent' : kind, args))
  if (event === undefined || callback !== model.callback) return
  model.event = event as Event
  world.label(model.event, kind)
  Object.assign(model, { name: world.nameOf(model.event) })
  world.keep(world.events, model)
  if (random.chance(0.8)) add(world, model)
}

function add(world: World, model: EventModel): void {
  const { random } = world
  const timeout = random.pick<unknown>([undefined, 0, 0.1, 1, 2, 5, 1e9, random.some(world.commonTimeouts)])
  const args = random.chance(0.5) ? [] : [orNonsense(world, timeout)]
  if (world.invoke('event', model.event, 'add', args) !== undefined) model.started()
}

const withEvent = operationsOn((world) => world.random.some(world.events))

export const events: readonly Operation[] = [
  withBase('make an event', 14, makeEvent),
  withEvent('add', 8, add),
  withEvent('delete', 4, (world, model) => {
    if (world.invoke('event', model.event, 'del', []) !== undefined) model.stopped()
  }),
  withEvent(
    'remove the timer',
    2,
    (world, model) => void world.invoke('event', model.event, 'removeTimer', []),
  ),
  withEvent('activate', 6, (world, model) => {
    const { random } = world
    const args = [
      orNonsense(world, random.pick([0, EV.READ, EV.WRITE, EV.TIMEOUT])),
      orNonsense(world, random.pick([0, 1, 3])),
    ]
    if (world.invoke('event', model.event, 'activate', args.slice(0, random.below(3))) !== undefined)
      model.started()
  }),
  withEvent(
    'pending',
    2,
    (world, model) =>
      void world.invoke('event', model.event, 'pending', world.random.chance(0.5) ? [] : [nonsense(world)]),
  ),
  withEvent('read a property of an event', 4, (world, model) =>
    world.read(
      'event',
      model.event,
      'id',
      'id',
      'fd',
      'signal',
      'what',
      'base',
      'closed',
      'priority',
      'expiresAt',
    ),
  ),
  withEvent('set the priority', 2, (world, model) => {
    const priority = orNonsense(world, world.random.below(5)) as number
    world.call('event.priority=', [priority], () => (model.event.priority = priority))
  }),
  withEvent('finalize', 0.7, (world, model) => {
    const callback = orNonsense(world, model.finalizer) as () => void
    const before = model.event.closed
    const finalized = world.call('event.finalize', [callback], () =>
      world.random.chance(0.2) ? model.event.finalize() : model.event.finalize(callback),
    )
    if (finalized !== undefined && !before) model.finalizing()
  }),
  withEvent('close an event', 2, (world, model) => {
    world.invoke('event', model.event, 'close', [])
    if (model.event.closed) model.stopped()
  }),
  {
    name: 'forget an event',
    weight: 2,
    run(world) {
      if (world.events.length > 0) world.events.splice(world.random.below(world.events.length), 1)
    },
  },
  {
    name: 'send a signal',
    weight: 1,
    run(world) {
      if (world.settings.inWorker) return
      world.signals += 1
      process.kill(process.pid, world.random.pick(SIGNALS))
    },
  },
]
