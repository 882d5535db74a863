// Large streams: iperf3's client sends as fast as it can.
import { processorSeconds } from '../../scripts/lib/system.mjs'
import { atLeastHaproxy, atLeastNode, atMostNode, type Bench, type Case } from './case.js'
import { pathOf } from './needs.js'
import { runClient, type Server } from './process.js'
import { echo, iperf } from './upstreams.js'
import { native } from './workplace.js'

/** Bytes that are echoed and compared on each stream. */
const CHECKED = 4 * 2 ** 20
const GIBIBYTE = 2 ** 30

interface IperfReport {
  readonly error?: string
  readonly end: {
    readonly sum_sent: { readonly bytes: number }
    readonly sum_received: { readonly bytes: number; readonly bits_per_second: number }
  }
}

/** A case with a number of parallel streams. */
export function bulk(streams: number): Case {
  const name = `bulk, ${streams} ${streams === 1 ? 'stream' : 'streams'}`
  return {
    name,
    metrics: [
      { name: 'throughput', unit: 'Gbit/s', aims: [atLeastHaproxy(1.25), atLeastNode(1.3)] },
      { name: 'CPU', unit: 's per GiB', aims: [atMostNode()] },
    ],
    upstream: iperf,
    // iperf3 does not compare bytes.
    async check(start, place) {
      const upstream = await echo(place)
      let proxy: Server | undefined
      try {
        proxy = await start(upstream.port)
        await runClient(native('verify', proxy.port, streams, CHECKED), place.placement.load)
      } finally {
        await proxy?.stop()
        await upstream.stop()
      }
    },
    sample: (bench) => sample(bench, streams),
  }
}

async function sample({ proxy, place, seconds }: Bench, streams: number): ReturnType<Case['sample']> {
  const before = processorSeconds(proxy.pid)
  // Zero-copy, because the client shares its processor with the upstream.
  const command = [
    pathOf('iperf3'),
    '--client=127.0.0.1',
    `--port=${proxy.port}`,
    `--parallel=${streams}`,
    `--time=${seconds}`,
    '--zerocopy',
    '--json',
  ]
  const report = JSON.parse(await runClient(command, place.placement.load)) as IperfReport
  if (report.error !== undefined) throw new Error(`iperf3: ${report.error}`)
  const { sum_sent: sent, sum_received: received } = report.end
  if (received.bytes <= 0 || received.bytes > sent.bytes) {
    throw new Error(`iperf3 received ${received.bytes} bytes of ${sent.bytes}`)
  }
  return {
    throughput: received.bits_per_second / 1e9,
    CPU: (processorSeconds(proxy.pid) - before) / (received.bytes / GIBIBYTE),
  }
}
