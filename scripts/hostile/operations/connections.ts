// Listeners and connects.
import type { EventBase } from '../../../index.js'
import { connect, listen, type Listener, type ListenOptions } from '../../../net.js'
import { operationsOn, withBase } from '../operation.js'
import { complete, nonsense, options, orNonsense, polluted } from '../values.js'
import type { Operation, World } from '../world.js'
import { replaceUnder, someAddress, someTarget } from './sockets.js'

function makeListener(world: World, chosen: EventBase): void {
  const { random } = world
  const base = orNonsense(world, chosen) as EventBase
  // The wrong value may be another base of the episode. `instanceof` would run code of a Proxy.
  const owner = world.bases.includes(base) ? base : chosen
  let made: Listener | undefined
  const onConnection = (fd: number): void => {
    world.own(fd)
    world.note(`> connection ${fd}`)
    if (owner.closed) world.judge.fault('listener: called although its base is closed')
    if (made?.closed === true) world.judge.fault('listener: called although it is closed')
    world.misbehave()
  }
  const callback = orNonsense(world, onConnection)
  const given = complete(world, {
    ...someAddress(world),
    backlog: random.pick([-1, 0, 5]),
    batch: random.between(1, 5),
    paused: random.chance(0.2),
    onError: world.callback('onError', owner),
  })
  made = world.call('listen', [base, given], () =>
    polluted(world, () =>
      listen(
        base,
        given as ListenOptions,
        (callback === onConnection ? callback : owning(world, callback)) as typeof onConnection,
      ),
    ),
  )
  if (made === undefined) return
  world.keep(world.listeners, world.label(made, 'listener'))
  world.keep(world.targets, made.address)
}

/** A function that also owns the connections which a listener passes to it. Other values are returned as they are. */
function owning(world: World, value: unknown): unknown {
  if (typeof value !== 'function') return value
  return new Proxy(value, {
    apply(target, receiver, args) {
      world.own(args[0] as number)
      return Reflect.apply(target as () => unknown, receiver, args)
    },
  })
}

/** A listener on a descriptor of this program. The listener owns it once it is made. */
function adoptListener(world: World, base: EventBase): void {
  const fd = world.fd()
  if (fd === undefined) return
  world.disown(fd)
  const given = complete(world, {
    fd,
    backlog: 5,
    paused: world.random.chance(0.5),
    onError: world.callback('onError', base),
  })
  const made = world.call('listen', [base, given], () =>
    listen(base, given as ListenOptions, (accepted) => world.own(accepted)),
  )
  if (made === undefined) world.own(fd)
  else if (made.fd !== fd) {
    world.judge.fault(`listener: has the descriptor ${made.fd} in place of ${fd}`)
  } else {
    world.keep(world.listeners, made)
    world.keep(world.targets, made.address)
  }
}

/** A function that looks up names, and does anything. */
function someLookup(world: World): unknown {
  const { random } = world
  return (host: unknown, _options: unknown, callback: (error: unknown, found?: unknown) => void): unknown => {
    world.misbehave()
    const answer = random.pick<unknown>([
      '127.0.0.1',
      [
        { address: '127.0.0.1', family: 4 },
        { address: '::1', family: 6 },
      ],
      ['127.0.0.1', '::1'],
      [],
      nonsense(world),
    ])
    switch (random.below(5)) {
      case 0:
        callback(null, answer)
        return undefined
      case 1:
        setImmediate(() => callback(null, answer))
        setImmediate(() => callback(null, answer))
        return undefined
      case 2:
        return Promise.resolve(answer)
      case 3:
        return host
      default:
        callback(Object.assign(new Error('no such name'), { code: 'ENOTFOUND', syscall: 'getaddrinfo' }))
        return undefined
    }
  }
}

function makeConnect(world: World, base: EventBase): void {
  const { random } = world
  const address = someTarget(world)
  const named = random.chance(0.3) && 'port' in address
  const target = complete(world, named ? { ...address, host: 'name.test' } : { ...address })
  const lookup = someLookup(world)
  const given = {
    timeout: random.pick([1, 5, 1000]),
    signal: random.chance(0.4) ? world.abortSignal() : undefined,
    attemptDelay: random.pick([10, 250]),
    localAddress: random.pick([undefined, '127.0.0.1']),
    localPort: 0,
  }
  // A name is not looked up by the system, which could take long.
  const how = named ? { ...given, lookup } : options(world, given)
  const promise = world.call('connect', [base, target, how], () =>
    polluted(world, () => connect(orNonsense(world, base) as EventBase, target as never, how)),
  )
  world.track('connect', promise, { resolved: (fd) => world.own(fd) }, ['ENOTFOUND'])
}

const withListener = operationsOn((world) => world.random.some(world.listeners))

export const connections: readonly Operation[] = [
  withBase('listen', 3, makeListener),
  withBase('adopt a listening socket', 1, adoptListener),
  withListener(
    'control a listener',
    2,
    (world, listener) =>
      void world.invoke('listener', listener, world.random.pick(['pause', 'resume', 'resume', 'close']), []),
  ),
  withListener('read a property of a listener', 1, (world, listener) =>
    world.read('listener', listener, 'address', 'base', 'fd', 'closed'),
  ),
  withListener('replace the descriptor under a listener', 0.3, (world, listener) =>
    replaceUnder(world, listener.fd),
  ),
  withBase('connect', 5, makeConnect),
]
