// The proxies that are compared.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { root } from '../../scripts/lib/run.js'
import { pathOf } from './needs.js'
import { freePort } from './ports.js'
import { type Server, serve } from './process.js'
import { native, type Workplace } from './workplace.js'

/** A kind of proxy. */
export interface Contender {
  /** Its column. */
  readonly name: string
  /** Whether the aims apply to it. */
  readonly judged: boolean
  /** Starts one in front of a port. */
  start(upstream: number, place: Workplace): Promise<Server>
}

/** Contenders that others are compared with. */
export const HAPROXY = 'HAProxy'
export const NODE = 'Node'

const BUILD = join(root, 'bench', 'build')
/** All contenders, in the order of the columns. */
export const CONTENDERS: readonly Contender[] = [
  { name: 'TypeScript', judged: true, start: program('relay') },
  { name: '1 thread', judged: true, start: program('threaded', ['1']) },
  { name: '2 threads', judged: false, start: program('threaded', ['2'], 'twoThreads') },
  { name: NODE, judged: false, start: program('node') },
  { name: HAPROXY, judged: false, start: haproxy([]) },
  {
    name: 'HAProxy, splice',
    judged: false,
    start: haproxy(['option splice-request', 'option splice-response']),
  },
  {
    name: 'libevent',
    judged: false,
    start: (upstream, { placement }) => serve(native('forward', upstream), { processors: placement.proxy }),
  },
]

type Start = Contender['start']

function program(
  name: string,
  args: readonly string[] = [],
  processors: 'proxy' | 'twoThreads' = 'proxy',
): Start {
  const file = join(BUILD, 'bench', 'proxy', 'programs', `${name}.js`)
  return (upstream, { placement }) =>
    serve([process.execPath, file, String(upstream), ...args], { processors: placement[processors] })
}

/** TCP mode with the timeouts that it requires, and one thread. */
function haproxy(options: readonly string[]): Start {
  return async (upstream, { placement, scratch }) => {
    const port = await freePort()
    const file = join(scratch, `haproxy-${port}.cfg`)
    const lines = [
      'global',
      '  nbthread 1',
      'defaults',
      '  mode tcp',
      '  timeout connect 10s',
      '  timeout client 1h',
      '  timeout server 1h',
      ...options.map((option) => `  ${option}`),
      'listen proxy',
      `  bind 127.0.0.1:${port}`,
      `  server upstream 127.0.0.1:${upstream}`,
    ]
    writeFileSync(file, `${lines.join('\n')}\n`)
    return await serve([pathOf('haproxy'), '-db', '-q', '-f', file], { processors: placement.proxy, port })
  }
}
