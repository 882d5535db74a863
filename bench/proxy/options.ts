// The command line of `bench/proxy.ts`.
import { parseArgs } from 'node:util'

import { refuse } from '../lib/options.js'

/** Options of `bench/proxy.ts`. */
export interface ProxyOptions {
  /** One round of a second, which checks that all bytes arrive. */
  readonly quick: boolean
  /** Cases whose name starts with one of these; all when empty. */
  readonly only: readonly string[]
  /** Proxies of these names; all when empty. */
  readonly proxies: readonly string[]
  readonly rounds: number
  /** Seconds of load for a sample. */
  readonly seconds: number
  /** The number of idle connections. */
  readonly idle: number
  /** Prints Markdown in place of the plain tables. */
  readonly markdown: boolean
  /** Does not build before measuring. */
  readonly build: boolean
  readonly help: boolean
}

/** Reads the command line. Ends the process with code 2 if it is wrong. */
export function proxyOptions(): ProxyOptions {
  const values = read()
  const { quick } = values
  return {
    ...values,
    proxies: values.proxy,
    rounds: whole('rounds', values.rounds ?? (quick ? '1' : '5'), 100),
    seconds: whole('seconds', values.seconds ?? (quick ? '1' : '2'), 3600),
    idle: whole('idle', values.idle ?? (quick ? '200' : '5000'), 100_000),
    build: !values['no-build'],
  }
}

function read() {
  try {
    return parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true, default: [] },
        proxy: { type: 'string', multiple: true, default: [] },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        idle: { type: 'string' },
        markdown: { type: 'boolean', default: false },
        'no-build': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error))
  }
}

function whole(name: string, text: string, most: number): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= most) return value
  return refuse(`--${name} ${text}: a whole number from 1 to ${most} is wanted`)
}
