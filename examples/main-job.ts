/**
 * What `npm start` runs.
 *
 * Without arguments: an upstream and, in front of it, `proxy()`, then `relay()` on each of the system's backends. Each
 * runs in its own process, under traffic whose every byte is verified. Prints a table; the exit code is 1 if anything
 * was lost, changed or late.
 *
 * With arguments: `event-base proxy` with these arguments.
 */

import { EventBase } from '../index.js'
import { command } from '../ts/cli/command.js'
import { Child } from './main-job/child.js'
import { bulk, crowd, roundTrips, type Share } from './main-job/load.js'
import { formatTable, type Row } from './main-job/table.js'
import type { FrontReport } from './main-job/front.js'

/** For each connection: 2 uploads and 2 downloads make 1 GiB. */
const BULK_BYTES = 256 * 1024 * 1024
const BULK_CONNECTIONS = 2
const CROWD = 256
const TRIP_CONNECTIONS = 8
const TRIPS = 1000

/** Milliseconds that the whole job may take. */
const PATIENCE = 300_000

/** Sends all the traffic once through `port`. */
async function measure(way: string, port: number): Promise<Row> {
  const large = await bulk(port, { connections: BULK_CONNECTIONS, bytes: BULK_BYTES })
  const many = await crowd(port, CROWD)
  const small = await roundTrips(port, { connections: TRIP_CONNECTIONS, trips: TRIPS })
  const sum = (field: keyof Share): number => large[field] + many[field] + small[field]
  return {
    way,
    connections: sum('connections'),
    bytes: sum('bytes'),
    gigabitsPerSecond: (large.bytes * 8) / 1e6 / large.ms,
    p50: small.p50,
    p99: small.p99,
  }
}

/** The same through a proxy, whose counters have to agree. */
async function measureThrough(way: string, method: string, upstream: number): Promise<Row> {
  const front = new Child('front.ts', [method, String(upstream)])
  try {
    const row = await measure(way, await front.port())
    const report = (await front.stop()) as FrontReport
    if (report.bytes !== row.bytes || report.accepted !== row.connections || report.failed !== 0) {
      throw new Error(`${way}: the proxy counted ${JSON.stringify(report)}, not ${JSON.stringify(row)}`)
    }
    return row
  } finally {
    front.kill()
  }
}

async function job(): Promise<void> {
  const watchdog = setTimeout(() => {
    console.error(`not over after ${PATIENCE / 1000} s`)
    process.exit(1)
  }, PATIENCE)
  const upstream = new Child('upstream.ts', [])
  try {
    const port = await upstream.port()
    const rows = [await measure('(no proxy)', port)]
    rows.push(await measureThrough('proxy(), 1 thread', 'proxy()', port))
    for (const method of EventBase.supportedMethods()) {
      rows.push(await measureThrough(`relay(), ${method}`, method, port))
    }
    console.log(formatTable(rows))
    console.log('every byte arrived as it was sent')
    await upstream.stop()
  } finally {
    upstream.kill()
    clearTimeout(watchdog)
  }
}

const args = process.argv.slice(2)
if (args.length > 0) process.exit(await command(['proxy', ...args]))
else await job()
