/**
 * What `npm start` runs.
 *
 * Without arguments: an upstream and, in front of it, this package's proxy on each of the system's backends, each
 * in a process of its own, under real traffic whose every byte is verified. Prints a table; ends with 1 if
 * anything was lost, changed or late.
 *
 * With `--listen HOST:PORT --upstream HOST:PORT`: the proxy alone, until SIGINT or SIGTERM.
 */

import { EventBase } from '../index.js'
import { proxy } from '../ts/cli/proxy.js'
import { UsageError } from '../ts/cli/usage.js'
import { Child } from './main-job/child.js'
import { bulk, crowd, roundTrips, type Share } from './main-job/load.js'
import { formatTable, type Row } from './main-job/table.js'
import type { FrontReport } from './main-job/front.js'

/** Each direction, each connection: 4 connections make 1 GiB. */
const BULK_BYTES = 256 * 1024 * 1024
const BULK_CONNECTIONS = 2
const CROWD = 256
const TRIP_CONNECTIONS = 8
const TRIPS = 1000

/** The whole job must be over by then. */
const PATIENCE = 300_000

/** All the traffic once, through `port`. */
async function measure(method: string, port: number): Promise<Row> {
  const large = await bulk(port, { connections: BULK_CONNECTIONS, bytes: BULK_BYTES })
  const many = await crowd(port, CROWD)
  const small = await roundTrips(port, { connections: TRIP_CONNECTIONS, trips: TRIPS })
  const sum = (field: keyof Share): number => large[field] + many[field] + small[field]
  return {
    method,
    connections: sum('connections'),
    bytes: sum('bytes'),
    gigabitsPerSecond: (large.bytes * 8) / 1e6 / large.ms,
    p50: small.p50,
    p99: small.p99,
  }
}

/** The same through the proxy, whose own count has to agree. */
async function measureThrough(method: string, upstream: number): Promise<Row> {
  const front = new Child('front.ts', [method, String(upstream)])
  try {
    const row = await measure(method, await front.port())
    const report = (await front.stop()) as FrontReport
    if (report.bytes !== row.bytes || report.accepted !== row.connections || report.failed !== 0) {
      throw new Error(`${method}: the proxy counted ${JSON.stringify(report)}, not ${JSON.stringify(row)}`)
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
    for (const method of EventBase.supportedMethods()) rows.push(await measureThrough(method, port))
    console.log(formatTable(rows))
    console.log('every byte arrived as it was sent')
    await upstream.stop()
  } finally {
    upstream.kill()
    clearTimeout(watchdog)
  }
}

const args = process.argv.slice(2)
try {
  if (args.length > 0) process.exitCode = await proxy(args)
  else await job()
} catch (error) {
  console.error(error instanceof UsageError ? error.message : error)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
