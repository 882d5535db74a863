// The memory that idle connections take in the proxy.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

import { memory } from '../../scripts/lib/system.mjs'
import { atMostNode, type Case } from './case.js'
import { openClient, type Server } from './process.js'
import { echo } from './upstreams.js'
import { native, type Workplace } from './workplace.js'

/** Connections before the first measurement, so that code and pools of the proxy are not counted. */
const WARM_UP = 50
/** Milliseconds in which a proxy releases temporary memory. */
const SETTLING = 500

/** Connections that each carry a message and then stay open. */
export const idle: Case = {
  name: 'idle connections',
  metrics: [
    { name: 'memory (PSS)', unit: 'KiB per connection', aims: [atMostNode()] },
    { name: 'memory (RSS)', unit: 'KiB per connection', aims: [atMostNode()] },
  ],
  upstream: echo,
  fresh: true,
  async sample({ proxy, place, idle: count }) {
    const warmed = await open(proxy, WARM_UP, place)
    await warmed.close()
    await sleep(SETTLING)
    const before = memory(proxy.pid)
    const opened = await open(proxy, count, place)
    await sleep(SETTLING)
    const after = memory(proxy.pid)
    await opened.close()
    const each = (grown: number): number => grown / 1024 / count
    return {
      'memory (PSS)': each(after.proportional - before.proportional),
      'memory (RSS)': each(after.resident - before.resident),
    }
  },
}

interface Opened {
  close(): Promise<void>
}

async function open(proxy: Server, count: number, { placement }: Workplace): Promise<Opened> {
  const { child, ended } = openClient(native('idle', proxy.port, count), placement.load)
  // It prints a line when all connections are open, or ends with an error.
  if (child.stdout !== null) await Promise.race([once(child.stdout, 'data'), ended])
  return {
    close: async () => {
      child.stdin?.end()
      const report = JSON.parse(await ended) as { readonly open: number }
      if (report.open !== count) throw new Error(`${report.open} connections in place of ${count}`)
    },
  }
}
