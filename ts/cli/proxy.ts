/** `event-base proxy`. */

import type { SystemError } from '../errors.js'
import { open } from './front.js'
import { formatWhere } from './parse.js'
import { reportOn } from './report.js'
import { parseSettings, type Settings } from './settings.js'

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/** Says where it could not listen. */
function named(error: unknown, { listen }: Settings): unknown {
  const { syscall } = error as Partial<SystemError>
  if (!(error instanceof Error) || (syscall !== 'bind' && syscall !== 'listen')) return error
  return new Error(`cannot listen at ${formatWhere(listen)}: ${error.message}`, { cause: error })
}

/**
 * Forwards until SIGINT or SIGTERM, lets the connections under way end, and returns the exit code.
 *
 * @param args the command line behind `proxy`
 * @throws {UsageError} for a command line that could not be meant
 * @throws {Error} when it cannot listen, or a thread of it failed
 */
export async function proxy(args: string[]): Promise<number> {
  const settings = parseSettings(args)
  // Whoever reads what is told may go away; that ends nothing.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  const report = reportOn(process.stderr, settings.stats)
  const front = await open(settings, (problem) => report.problem(problem)).catch((error: unknown) => {
    throw named(error, settings)
  })
  let stopping = false
  const stop = (): void => {
    if (stopping) return front.close()
    stopping = true
    front.drain(settings.drainTimeout)
  }
  for (const signal of SIGNALS) process.on(signal, stop)
  const at = formatWhere(front.address)
  const upstreams = settings.upstreams.map(formatWhere).join(', ')
  process.stdout.write(`listening at ${at}, forwarding to ${upstreams} (${front.engine})\n`)
  report.begin(`event-base proxy at ${at} (${front.engine})`, () => front.stats())
  try {
    await front.ended
  } finally {
    report.end()
    for (const signal of SIGNALS) process.off(signal, stop)
  }
  return 0
}
