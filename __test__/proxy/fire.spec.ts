/**
 * Connections of random sizes through proxies, with half-closes, resets, stalls, limits, idle timeouts, and either side
 * closing early. Every byte that arrives is compared with what was sent; a stream that ends in order has to be
 * complete. Afterwards no descriptor is left.
 *
 * `npm run fire -- --seed S --connections N` repeats a round, or runs a longer one.
 */

import { describe, expect, test } from 'vitest'

import { EventBase } from '../../index.js'
import { listen, proxy, type TcpProxy, type RelayOptions } from '../../net.js'
import { descriptors } from '../../scripts/lib/system.mjs'
import { anyPort, LOOPBACK, portOf } from '../net/support.js'
import { until } from '../support/base.js'
import { collect } from '../support/garbage.js'
import type { Terms } from './fire/plan.js'
import { round, type Tally } from './fire/round.js'
import { forward } from './support.js'

const seed = Number(process.env['EVENT_BASE_FIRE_SEED'] ?? 1)
const connections = Number(process.env['EVENT_BASE_FIRE_CONNECTIONS'] ?? 1000)

const MEBIBYTE = 2 ** 20

const terms = {
  plain: {},
  limited: { limit: { rate: 4 * MEBIBYTE, burst: 32 * 1024 } },
  idle: { idleTimeout: 60 },
} satisfies Record<Terms, RelayOptions>

/** Starts proxies, and closes all of them. */
interface Kind {
  readonly name: string
  open(): { start(terms: Terms, upstream: number): Promise<number>; close(): Promise<void> }
}

/** `listen`, `connect` and `relay`, on one base for all terms. */
function onOneBase() {
  const base = new EventBase()
  const running = { count: 0 }
  base.newTimer(() => {}, { persist: true }).add(60_000)
  void base.run()
  return {
    async start(kind: Terms, upstream: number): Promise<number> {
      const { address } = listen(base, anyPort, async (fd) => {
        running.count += 1
        const made = await forward(base, fd, upstream, terms[kind], () => (running.count -= 1))
        if (made === undefined) running.count -= 1
      })
      return address.port
    },
    async close(): Promise<void> {
      await until(() => running.count === 0, 'the end of every relay')
      base.close()
    },
  }
}

/** `proxy()`, with two threads for each of the terms. */
function onThreads() {
  const proxies: TcpProxy[] = []
  return {
    async start(kind: Terms, upstream: number): Promise<number> {
      const place = { listen: anyPort, upstream: { host: LOOPBACK, port: upstream } }
      const made = await proxy({ ...place, threads: 2, ...terms[kind] })
      proxies.push(made)
      return portOf(made.address)
    },
    async close(): Promise<void> {
      await Promise.all(proxies.map((one) => one.drain()))
    },
  }
}

const kinds: readonly Kind[] = [
  { name: 'relay()', open: onOneBase },
  { name: 'proxy()', open: onThreads },
]

async function fire({ open }: Kind, from: number, count: number): Promise<Tally> {
  const proxies = open()
  const tally = await round(from, count, (kind, upstream) => proxies.start(kind, upstream))
  await proxies.close()
  return tally
}

describe.each(kinds)('$name', (kind) => {
  test('random connections receive the bytes that were sent, and no descriptor is left', async () => {
    const repeat = `npm run fire -- --ts --seed ${seed} --connections ${connections}`
    // A first round loads and allocates what is needed once.
    const warm = await fire(kind, seed + 1, Math.ceil(connections / 5))
    expect(warm.failures.slice(0, 5), `warming up: ${repeat}`).toEqual([])
    await collect()
    const before = { descriptors: descriptors(), memory: process.memoryUsage.rss() }
    const start = performance.now()
    const { bytes, ended, broken, failures } = await fire(kind, seed, connections)
    const seconds = ((performance.now() - start) / 1000).toFixed(1)
    console.log(
      `${kind.name}, seed ${seed}: ${connections} connections, ${Math.round(bytes / MEBIBYTE)} MiB, ` +
        `${ended} in order, ${broken} not, ${seconds} s`,
    )
    expect(failures.slice(0, 5), `${failures.length} failures; ${repeat}`).toEqual([])
    expect(ended + broken).toBe(connections)
    // Node closes its handles asynchronously.
    await until(
      () => JSON.stringify(descriptors()) === JSON.stringify(before.descriptors),
      'every descriptor to be closed',
    )
    await collect()
    const grown = process.memoryUsage.rss() - before.memory
    console.log(
      `${kind.name}: ${Math.round(before.memory / MEBIBYTE)} MiB before, ${Math.round(grown / MEBIBYTE)} MiB more`,
    )
    expect(grown, repeat).toBeLessThan(48 * MEBIBYTE)
  })
})
