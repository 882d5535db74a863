// The time that a proxy adds to a round trip.
import { atMostNode, type Case } from './case.js'
import { runClient } from './process.js'
import { echo } from './upstreams.js'
import { native } from './workplace.js'

/** Round trips a second, half of them without the proxy. */
const RATE = 1000

interface PingReport {
  readonly direct: Percentiles
  readonly through: Percentiles
}

interface Percentiles {
  readonly p50: number
  readonly p99: number
}

/** Round trips of 64 bytes at a moderate rate, alternately direct and through the proxy. */
export const latency: Case = {
  name: `round trips, ${RATE / 2} per second`,
  metrics: [
    { name: 'added, p50', unit: 'µs', aims: [atMostNode()] },
    { name: 'added, p99', unit: 'µs', aims: [atMostNode()] },
  ],
  upstream: echo,
  async sample({ proxy, upstream, place, seconds }) {
    const command = native('ping', upstream.port, proxy.port, RATE, seconds)
    const { direct, through } = JSON.parse(await runClient(command, place.placement.load)) as PingReport
    return {
      'added, p50': (through.p50 - direct.p50) / 1000,
      'added, p99': (through.p99 - direct.p99) / 1000,
    }
  },
}
