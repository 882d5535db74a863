/** The asynchronous resources of this package, as `node:async_hooks` reports them. */

import { createHook } from 'node:async_hooks'

import { expect, onTestFinished, test } from 'vitest'

import type { EventBase } from '../../index.js'
import { listen, proxy, relay, socket } from '../../net.js'
import { never, openBase } from '../support/base.js'
import { anyPort, closedPort, LOOPBACK, until } from './support.js'

/** The number of resources of a type that were made and not destroyed since the call. */
function countResources(type: string): () => number {
  const alive = new Set<number>()
  const hook = createHook({
    init: (id, one) => void (one === type && alive.add(id)),
    destroy: (id) => void alive.delete(id),
  }).enable()
  onTestFinished(() => void hook.disable())
  return () => alive.size
}

const ends: [string, string, (base: EventBase) => unknown][] = [
  [
    'a listener that is closed',
    'EventBaseListener',
    (base) => {
      listen(base, anyPort, never).close()
    },
  ],
  [
    'a listener whose base is closed',
    'EventBaseListener',
    (base) => {
      listen(base, anyPort, never)
      base.close()
    },
  ],
  [
    'a relay that is closed',
    'EventBaseRelay',
    (base) => {
      relay(base, ...socket.pair(), {}, () => {}).close()
      return base.run()
    },
  ],
  [
    'a relay whose base is closed',
    'EventBaseRelay',
    (base) => {
      relay(base, ...socket.pair(), {}, never)
      base.close()
    },
  ],
  [
    'a proxy that is closed',
    'EventBaseProxy',
    async () => {
      const upstream = { host: LOOPBACK, port: closedPort() }
      await (await proxy({ listen: anyPort, upstream })).close()
    },
  ],
]

test.each(ends)('the resource of %s is destroyed', async (_what, type, end) => {
  const base = openBase()
  const count = countResources(type)
  const ended = end(base)
  expect(count()).toBeLessThanOrEqual(1)
  await ended
  await until(() => count() === 0, 'the resource is destroyed')
})

test('the resource of a relay that is open is not destroyed', async () => {
  const base = openBase()
  const count = countResources('EventBaseRelay')
  relay(base, ...socket.pair(), {}, never)
  base.newTimer(() => base.loopExit()).add(1)
  await base.run()
  await new Promise(setImmediate)
  expect(count()).toBe(1)
})
