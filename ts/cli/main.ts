#!/usr/bin/env node
/** The command `event-base`. */

import { createRequire } from 'node:module'

import { describeMethods } from './methods.js'
import { proxy } from './proxy.js'
import { USAGE, UsageError } from './usage.js'

async function main([command, ...args]: string[]): Promise<number> {
  if (command === '--help' || command === '-h' || args.includes('--help')) {
    process.stdout.write(USAGE)
    return 0
  }
  if (command === '--version' || command === '-V') {
    const manifest = createRequire(import.meta.url)('event-base/package.json') as { version: string }
    process.stdout.write(`event-base ${manifest.version}\n`)
    return 0
  }
  if (command === 'proxy') return await proxy(args)
  if (command === 'methods') {
    if (args.length > 0) throw new UsageError(`methods takes no arguments, but got "${args[0]}"`)
    for (const line of describeMethods()) console.log(line)
    return 0
  }
  throw new UsageError(command === undefined ? 'a command is missing' : `unknown command "${command}"`)
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  if (error instanceof UsageError) {
    process.stderr.write(`event-base: ${error.message}\n\n${USAGE}`)
    process.exitCode = 2
  } else {
    process.stderr.write(`event-base: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
}
