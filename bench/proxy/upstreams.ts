// The upstreams of the proxies.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'

import { pathOf } from './needs.js'
import { freePort } from './ports.js'
import { type Server, serve } from './process.js'
import { native, type Workplace } from './workplace.js'

/** Starts the upstream of a case. */
export type StartUpstream = (place: Workplace) => Promise<Server>

/** The answer of nginx. */
export const BODY = 'The quick brown fox jumps over the lazy dog.\n'

/** An echo server. */
export const echo: StartUpstream = ({ placement }) => serve(native('echo'), { processors: placement.load })

/** iperf3's server. */
export const iperf: StartUpstream = async ({ placement }) => {
  const port = await freePort()
  return await serve([pathOf('iperf3'), '--server', '--bind', '127.0.0.1', '--port', String(port)], {
    processors: placement.load,
    port,
  })
}

/** nginx, which answers with a few bytes, without a limit of requests for a connection. */
export const nginx: StartUpstream = async ({ placement, scratch }) => {
  const port = await freePort()
  const folder = mkdtempSync(join(scratch, 'nginx-'))
  const file = join(folder, 'nginx.conf')
  // Otherwise its workers would run as a user that may not enter the folder.
  const { username, uid } = userInfo()
  const lines = [
    'daemon off;',
    'worker_processes 1;',
    `pid ${join(folder, 'nginx.pid')};`,
    'error_log stderr error;',
    ...(uid === 0 ? [`user ${username};`] : []),
    'events { worker_connections 8192; }',
    'http {',
    '  access_log off;',
    '  keepalive_requests 1000000000;',
    '  keepalive_timeout 1h;',
    ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `  ${name}_temp_path ${join(folder, name)};`,
    ),
    '  server {',
    `    listen 127.0.0.1:${port} backlog=4096;`,
    `    location / { default_type text/plain; return 200 "${BODY.trim()}\\n"; }`,
    '  }',
    '}',
  ]
  writeFileSync(file, `${lines.join('\n')}\n`)
  return await serve([pathOf('nginx'), '-p', folder, '-e', 'stderr', '-c', file], {
    processors: placement.load,
    port,
  })
}
