// Small requests: wrk requests a few bytes from nginx.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'

import { processorSeconds } from '../../scripts/lib/system.mjs'
import { type Aim, atLeastNode, atMostHaproxy, atMostNode, type Bench, type Case } from './case.js'
import { pathOf } from './needs.js'
import { runClient } from './process.js'
import { BODY, nginx } from './upstreams.js'

const CONNECTIONS = 64

/** Prints wrk's results in a form that can be parsed, with all digits. */
const REPORT = `
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('\\n{"requests":%d,"bytes":%d,"microseconds":%d,"errors":%d}\\n',
    summary.requests, summary.bytes, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
`

interface WrkReport {
  readonly requests: number
  readonly bytes: number
  readonly microseconds: number
  readonly errors: number
}

/** Requests on connections that stay open. */
export const keepAlive: Case = requests('small requests', 'request', 'keep-alive', atMostHaproxy(1))

/** A connection for each request. */
export const connections: Case = requests('connections', 'connection', 'close', atMostHaproxy(1.1))

function requests(plural: string, one: string, connection: string, aim: Aim): Case {
  return {
    name: `${plural}, ${CONNECTIONS} at a time`,
    metrics: [
      { name: 'rate', unit: `${one}s per second`, aims: [atLeastNode()] },
      { name: 'CPU', unit: `µs per ${one}`, aims: [aim, atMostNode()] },
    ],
    upstream: nginx,
    sample: (bench) => sample(bench, connection),
  }
}

async function sample(bench: Bench, connection: string): ReturnType<Case['sample']> {
  const { proxy, place, seconds } = bench
  const size = await responseSize(proxy.port, connection)
  const script = join(place.scratch, 'report.lua')
  writeFileSync(script, REPORT)
  const before = processorSeconds(proxy.pid)
  const output = await runClient(
    [
      pathOf('wrk'),
      '--threads=1',
      `--connections=${CONNECTIONS}`,
      `--duration=${seconds}s`,
      `--header=Connection: ${connection}`,
      `--script=${script}`,
      `http://127.0.0.1:${proxy.port}/`,
    ],
    place.placement.load,
  )
  const used = processorSeconds(proxy.pid) - before
  const report = JSON.parse(output.slice(output.lastIndexOf('\n{'))) as WrkReport
  check(report, size)
  return {
    rate: report.requests / (report.microseconds / 1e6),
    CPU: (used * 1e6) / report.requests,
  }
}

/** Makes a request, compares the answer, and returns its size in bytes. */
async function responseSize(port: number, connection: string): Promise<number> {
  const socket = connect(port, '127.0.0.1')
  socket.write(`GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: ${connection}\r\n\r\n`)
  // A second request, with `Connection: close`, marks the end of the first answer.
  if (connection !== 'close') socket.write('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n')
  const answers = (await text(socket)).split('HTTP/1.1 200 OK').slice(1)
  const [first = ''] = answers
  if (answers.length !== (connection === 'close' ? 1 : 2) || !first.endsWith(`\r\n\r\n${BODY}`)) {
    throw new Error(`nginx’s answer did not come through: ${JSON.stringify(answers)}`)
  }
  return 'HTTP/1.1 200 OK'.length + first.length
}

function check({ requests: count, bytes, errors }: WrkReport, size: number): void {
  // At the end every connection may have received part of an answer, which is not counted.
  const most = (count + CONNECTIONS) * size
  if (count === 0 || errors > 0 || bytes < count * size || bytes > most) {
    throw new Error(`${count} answers of ${size} bytes came as ${bytes} bytes, with ${errors} errors`)
  }
}
