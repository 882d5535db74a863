// The programs that run under faults, and the settings that they run with.
import { join } from 'node:path'

import { root } from '../run.js'
import { LoopTraffic, ProxyTraffic, type Traffic } from './traffic.js'

/** A program under test. */
export interface Program {
  readonly name: string
  readonly traffic: () => Traffic
  /** The arguments of Node. `upstream` is the port of a server; nothing listens at `closed`. */
  args(upstream: number, closed: number): string[]
  /** The output with which it announces that it is ready. The first group is the port of a proxy. */
  readonly ready: RegExp
  /** Ends it in order; SIGTERM if there is no line. */
  readonly endLine?: string
}

const HOST = '127.0.0.1'
const command = join(root, 'dist/ts/cli/main.js')
const listening = new RegExp(`listening at ${HOST}:(\\d+)`)

function commandLine(...options: readonly string[]): Program['args'] {
  return (upstream, closed) => [
    command,
    'proxy',
    `--listen=${HOST}:0`,
    '--connect-timeout=2',
    '--drain-timeout=2',
    ...options.map((option) => option.replace('PORT', String(upstream)).replace('CLOSED', String(closed))),
  ]
}

const proxies = { traffic: (): Traffic => new ProxyTraffic(), ready: listening }

export const PROGRAMS: readonly Program[] = [
  {
    name: 'loop',
    traffic: () => new LoopTraffic(),
    args: () => [join(root, 'scripts/lib/faults/programs/loop.mjs')],
    ready: /^ready$/m,
    endLine: 'end',
  },
  {
    ...proxies,
    name: 'relay',
    args: (upstream, closed) => [
      join(root, 'scripts/lib/faults/programs/proxy.mjs'),
      String(closed),
      String(upstream),
    ],
  },
  {
    ...proxies,
    name: 'proxy',
    // The refused upstream and the one that answers take turns.
    args: commandLine('--upstream', `${HOST}:CLOSED`, '--upstream', `${HOST}:PORT`),
  },
  {
    ...proxies,
    name: 'threads',
    // Connections wait for the name.
    args: commandLine('--threads', '3', '--upstream', 'localhost:PORT'),
  },
]

/**
 * Variables of the environment that select other system calls. A signalfd is left out: the threads of Node do not block
 * signals, so a signal may still end the process.
 */
export const SETTINGS: Readonly<Record<string, NodeJS.ProcessEnv>> = {
  default: {},
  poll: { EVENT_NOEPOLL: '1' },
  select: { EVENT_NOEPOLL: '1', EVENT_NOPOLL: '1' },
  changelist: { EVENT_EPOLL_USE_CHANGELIST: '1' },
  precise: { EVENT_PRECISE_TIMER: '1' },
  thread: { EVENT_BASE_DRIVER: 'thread' },
}
