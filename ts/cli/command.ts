/**
 * The command `event-base`, up to its exit code.
 *
 * `--help` and `--version` work without the native addon, so only the modules of the other commands import it.
 */

import { createRequire } from 'node:module'

import { nearest } from './nearest.js'
import { Output, settled } from './output.js'
import { PROXY_USAGE, USAGE, UsageError } from './usage.js'

const COMMANDS = ['proxy', 'methods']

async function run([name, ...args]: string[], output: Output): Promise<void> {
  const asksForHelp = args.includes('--help') || args.includes('-h')
  if (name === '--help' || name === '-h' || (name !== 'proxy' && asksForHelp)) {
    process.stdout.write(USAGE)
  } else if (name === '--version' || name === '-V') {
    const manifest = createRequire(import.meta.url)('event-base/package.json') as { version: string }
    process.stdout.write(`event-base ${manifest.version}\n`)
  } else if (name === 'proxy') {
    if (asksForHelp) process.stdout.write(PROXY_USAGE)
    else await (await import('./proxy.js')).proxy(args, output)
  } else if (name === 'methods') {
    if (args[0] !== undefined)
      throw new UsageError(`methods takes no arguments, but got ${JSON.stringify(args[0])}`)
    const { describeMethods } = await import('./methods.js')
    process.stdout.write(
      describeMethods()
        .map((line) => `${line}\n`)
        .join(''),
    )
  } else if (name === undefined) {
    throw new UsageError('a command is missing')
  } else {
    const meant = nearest(name, COMMANDS)
    const hint = meant === undefined ? '' : `; did you mean ${meant}?`
    throw new UsageError(`unknown command ${JSON.stringify(name)}${hint}`)
  }
}

/** One line about a failure. */
function describe(error: unknown, name: string | undefined): string {
  const text = error instanceof Error ? error.message : String(error)
  // A path may contain a line feed.
  const message = text.replaceAll(/[\r\n]+/g, ' ')
  const help = name === 'proxy' ? 'event-base proxy --help' : 'event-base --help'
  return error instanceof UsageError ? `${message} (see ${help})` : message
}

/**
 * Runs a command line, and describes a failure on stderr in one line.
 *
 * @param args the words after `event-base`
 * @returns the exit code: 0 for success, 1 for a failure, 2 for a mistake in the command line. The caller must exit the
 *   process with this code: a reader of stdout or stderr that does not read would otherwise keep the process alive
 */
export async function command(args: string[]): Promise<number> {
  // The command continues if a reader closes its end.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  const output = new Output(process.stderr)
  let code = 0
  try {
    await run(args, output)
  } catch (error) {
    output.write(`event-base: ${describe(error, args[0])}\n`)
    code = error instanceof UsageError ? 2 : 1
  }
  await Promise.all([output.close(), settled(() => process.stdout.writableLength)])
  return code
}
