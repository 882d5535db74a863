// Connections that are open and silent: what they cost the proxy in memory.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

import { atMostNode, type Case } from './case.js'
import { memory, openClient, type Server } from './process.js'
import { echo } from './upstreams.js'
import { native, type Workplace } from './workplace.js'

/** Connections before the first look, so that code and pools that every proxy has are not counted. */
const WARM_UP = 50
/** Milliseconds until a proxy has given back what it holds for the moment only. */
const SETTLING = 500

/** Connections, each of which carried a message and then stays open. */
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
  // It says so once all are open, or ends with what went wrong.
  if (child.stdout !== null) await Promise.race([once(child.stdout, 'data'), ended])
  return {
    close: async () => {
      child.stdin?.end()
      const report = JSON.parse(await ended) as { readonly open: number }
      if (report.open !== count) throw new Error(`${report.open} connections in place of ${count}`)
    },
  }
}
