/** `event-base proxy`. */

import { isIP } from 'node:net'
import { parseArgs } from 'node:util'

import { EventBase } from '../event-base.js'
import type { HostAndPort } from '../net/address.js'
import { Forwarder, type Traffic } from './forwarder.js'
import { formatHostAndPort, parseHostAndPort, parseSeconds, UsageError } from './usage.js'

/** Milliseconds a connection to the upstream may take. */
const CONNECT_TIMEOUT = 10_000

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

interface Settings {
  listen: HostAndPort
  upstream: HostAndPort
  idleTimeout: number
  drainTimeout: number
  stats: boolean
}

function parse(args: string[]): Settings {
  let values
  try {
    ;({ values } = parseArgs({
      args,
      options: {
        listen: { type: 'string' },
        upstream: { type: 'string' },
        'idle-timeout': { type: 'string', default: '0' },
        'drain-timeout': { type: 'string', default: '10' },
        stats: { type: 'boolean', default: false },
      },
    }))
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
  const listen = parseHostAndPort('--listen', values.listen)
  if (isIP(listen.host) === 0 && listen.host !== 'localhost') {
    throw new UsageError(`--listen needs a numeric address or localhost, not "${listen.host}"`)
  }
  return {
    listen,
    upstream: parseHostAndPort('--upstream', values.upstream),
    idleTimeout: parseSeconds('--idle-timeout', values['idle-timeout']),
    drainTimeout: parseSeconds('--drain-timeout', values['drain-timeout']),
    stats: values.stats,
  }
}

function tell(what: string, { accepted, open, refused, failed, bytesUp, bytesDown }: Traffic): void {
  console.error(
    `${what}: ${accepted} accepted, ${open} open, ${refused} refused, ${failed} failed, ` +
      `${bytesUp} bytes up, ${bytesDown} bytes down`,
  )
}

/** Tells the traffic each second in which it changed. */
function tellEachSecond(forwarder: Forwarder): () => void {
  let last = ''
  const timer = setInterval(() => {
    const { traffic } = forwarder
    const now = JSON.stringify(traffic)
    if (now !== last) tell('traffic', traffic)
    last = now
  }, 1000)
  timer.unref()
  return () => clearInterval(timer)
}

/**
 * Forwards until SIGINT or SIGTERM, lets the connections under way end, and returns the exit code.
 *
 * @param args the command line behind `proxy`
 * @throws {UsageError} for a command line that could not be meant
 * @throws {SystemError} when it cannot listen
 */
export async function proxy(args: string[]): Promise<number> {
  const { listen, upstream, idleTimeout, drainTimeout, stats } = parse(args)
  const base = new EventBase()
  const forwarder = new Forwarder(base, {
    listen,
    upstream,
    idleTimeout,
    connectTimeout: CONNECT_TIMEOUT,
    onProblem: (problem) => console.error(problem),
  })
  let timer: NodeJS.Timeout | undefined
  const stop = (): void => {
    if (timer !== undefined) {
      forwarder.close()
      return
    }
    forwarder.drain()
    timer = setTimeout(() => forwarder.close(), drainTimeout)
  }
  for (const signal of SIGNALS) process.on(signal, stop)
  const stopTelling = stats ? tellEachSecond(forwarder) : undefined
  console.log(
    `listening at ${formatHostAndPort(forwarder.address)}, forwarding to ${formatHostAndPort(upstream)} (${base.method})`,
  )

  // Ends when the listener is closed and nothing is under way any more.
  await base.run()

  clearTimeout(timer)
  stopTelling?.()
  if (stats) tell('total', forwarder.traffic)
  for (const signal of SIGNALS) process.off(signal, stop)
  base.close()
  return 0
}
