/** The help of the command line, and its error for mistakes. No line is wider than 80 columns. */

import { OPTIONS, type Option } from './options.js'

/** A mistake in a command line: one line on stderr, exit code 2. */
export class UsageError extends Error {}

/** The help of `event-base`. */
export const USAGE = `usage: event-base proxy --listen WHERE --upstream WHERE [options]
       event-base methods
       event-base --help | --version

  proxy    forwards TCP connections; "event-base proxy --help" lists its options
  methods  prints this system's backends, best first, with their features

exit codes: 0 success, 1 failure, 2 a mistake in the command line
`

function describe([name, { value, help }]: [string, Option]): string {
  const head = `  --${name}${value === undefined ? '' : ` ${value}`}`
  return help.map((line, index) => `${(index === 0 ? head : '').padEnd(25)}${line}\n`).join('')
}

/** The help of `event-base proxy`. */
export const PROXY_USAGE: string = `usage: event-base proxy --listen WHERE --upstream WHERE [options]

Forwards TCP connections until SIGINT, SIGTERM or SIGHUP, then accepts no more,
lets open connections end, and exits. A second signal closes them immediately.

${Object.entries(OPTIONS).map(describe).join('')}
examples:
  event-base proxy --listen 127.0.0.1:8080 --upstream example.org:80
  event-base proxy --listen [::]:5432 --threads 4 --balance least-connections \\
    --upstream db1:5432 --upstream db2:5432,weight=2 --stats
  event-base proxy --listen unix:/run/app.sock --upstream 127.0.0.1:3000
`
