/** `event-base proxy`. */

import { proxy as start } from '../net/proxy.js'
import { Output } from './output.js'
import { formatWhere } from './parse.js'
import { reportOn } from './report.js'
import { parseSettings } from './settings.js'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Forwards connections until a signal arrives, and then drains. A second signal closes all connections.
 *
 * @param args the command line after `proxy`
 * @param output the output for problems and the traffic
 * @returns a promise that settles when every connection has ended
 * @throws {UsageError} as a rejection, for a mistake in `args`
 * @throws {Error} as a rejection, if the proxy cannot listen, or if one of its threads has failed
 */
export async function proxy(args: string[], output: Output): Promise<void> {
  const settings = parseSettings(args)
  const report = reportOn(output, settings.stats)
  const running = await start({ ...settings.proxy, onProblem: (problem) => report.problem(problem) })
  let isDraining = false
  const stop = (): void => {
    // The result is awaited through `closed`.
    if (isDraining) running.close().catch(() => {})
    else running.drain({ timeout: settings.drainTimeout }).catch(() => {})
    if (!isDraining) report.drain(settings.drainTimeout)
    isDraining = true
  }
  // For the rest of the process: a signal that arrives while it exits does not change its exit code.
  for (const signal of SIGNALS) process.on(signal, stop)
  const at = formatWhere(running.address)
  const upstreams = [settings.proxy.upstream].flat().map(formatWhere).join(', ')
  const threads = running.threads === 1 ? '1 thread' : `${running.threads} threads`
  const stdout = new Output(process.stdout)
  stdout.write(`listening at ${at}, forwarding to ${upstreams} (${threads})\n`)
  report.begin(`event-base proxy at ${at} (${threads})`, () => running.stats)
  try {
    await running.closed
  } finally {
    report.end()
    await stdout.close()
  }
}
