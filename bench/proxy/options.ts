import { parseArgs } from 'node:util'

import { refuse } from '../lib/options.js'

/** How `bench/proxy.ts` runs. */
export interface ProxyOptions {
  /** One round of a second: whether everything is carried, not how fast. */
  readonly quick: boolean
  /** Cases whose name starts with one of these; all when empty. */
  readonly only: readonly string[]
  /** Proxies of these names; all when empty. */
  readonly proxies: readonly string[]
  readonly rounds: number
  /** How long the load runs for a sample. */
  readonly seconds: number
  /** How many connections are left idle. */
  readonly idle: number
  /** Print Markdown in place of the plain tables. */
  readonly markdown: boolean
  /** Measure what is there, without building first. */
  readonly build: boolean
  readonly help: boolean
}

/** Reads the command line, and ends the process with code 2 where it is wrong. */
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
