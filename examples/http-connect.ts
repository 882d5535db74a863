/**
 * An HTTP proxy for the method CONNECT (RFC 9110, section 9.3.6). TypeScript decides which targets are allowed; the bytes
 * of the tunnel are moved natively.
 *
 *     npx tsx examples/http-connect.ts --listen 127.0.0.1:3128 --allow '*.example.org' --deny 'admin.example.org'
 *     curl --proxy http://127.0.0.1:3128 https://www.example.org/
 */

import { STATUS_CODES } from 'node:http'

import { EV, EventBase } from '../index.js'
import { connect, listen, relay, socket, type HostAndPort, type InternetAddress } from '../net.js'
import {
  formatAddress,
  main,
  parseHostAndPort,
  parseSeconds,
  runUntilStopped,
  UsageError,
} from './shared/command.js'

const USAGE = `
usage: http-connect.ts [--listen HOST:PORT] --allow RULE... [--deny RULE...]

Opens tunnels to the hosts that are allowed, and to no other, until SIGINT or SIGTERM.
A RULE is HOST[:PORT]: the port is 443 unless given, and * for any; the host is a name, an
address ([IPv6]), *.DOMAIN for every name below it, or * for any. A rule that denies
wins. It is the host as asked for that is judged, not the address that a name leads to.
  --listen HOST:PORT         where to listen (default 127.0.0.1:0, any free port)
  --allow RULE               allowed targets; can be repeated
  --deny RULE                refused targets; can be repeated
  --head-timeout SECONDS     time limit for the request (default 10)
  --connect-timeout SECONDS  time limit for connecting (default 10)
`

/** The maximum size of the request line and fields. */
const MOST_HEAD = 8192

/** Milliseconds for a client to read the answer to a refused request. */
const LINGER = 1000

const ESTABLISHED = Buffer.from('HTTP/1.1 200 Connection Established\r\n\r\n')

/** The reason to refuse a request. */
class Refusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** One rule of `--allow` or `--deny`. */
export function parseRule(what: string, text: string): (target: HostAndPort) => boolean {
  const match = /^(?<host>\[[^\]]+\]|[^:[\]]+)(?::(?<port>\*|\d{1,5}))?$/.exec(text)
  const [host, port] = [match?.groups?.['host'], match?.groups?.['port'] ?? '443']
  if (host === undefined) throw new UsageError(`${what} must be HOST or HOST:PORT, not "${text}"`)
  const wanted = host.replaceAll(/^\[|\]$/g, '').toLowerCase()
  return (target) => {
    if (port !== '*' && target.port !== Number(port)) return false
    if (wanted === '*') return true
    return wanted.startsWith('*.') ? target.host.endsWith(wanted.slice(1)) : target.host === wanted
  }
}

/**
 * Parses the target of a request.
 *
 * @param head the request line and the fields, without the empty line
 * @throws {Refusal} 400, 405 or 505
 */
export function parseRequest(head: string): HostAndPort {
  const [line = ''] = head.split('\r\n', 1)
  const match = /^(?<method>[!#$%&'*+.^_`|~\w-]+) (?<target>\S+) HTTP\/(?<major>\d)\.\d$/.exec(line)
  const { method, target = '', major } = match?.groups ?? {}
  if (method === undefined) throw new Refusal(400, 'not an HTTP request')
  if (major !== '1') throw new Refusal(505, 'only HTTP/1 is supported')
  if (method !== 'CONNECT') throw new Refusal(405, 'only CONNECT is supported')
  try {
    const { host, port } = parseHostAndPort('the target', target)
    if (port === 0) throw new UsageError('port 0 is not allowed')
    // Trailing dots do not change the target of a name, so they must not bypass a rule.
    const name = host.toLowerCase().replace(/\.+$/, '')
    if (name === '') throw new UsageError('the target has no name')
    return { host: name, port }
  } catch (error) {
    throw new Refusal(400, (error as Error).message)
  }
}

/** Reads up to the empty line. Returns the head and the bytes after it. */
async function readHead(
  base: EventBase,
  fd: number,
  patience: number,
): Promise<[head: string, rest: Buffer]> {
  const buffer = Buffer.alloc(MOST_HEAD)
  const deadline = performance.now() + patience
  for (let count = 0; count < MOST_HEAD;) {
    const timeout = Math.max(deadline - performance.now(), 0)
    if ((await base.wait(fd, EV.READ, { timeout })) === EV.TIMEOUT) {
      throw new Refusal(408, 'the request took too long')
    }
    const more = socket.read(fd, buffer, count)
    if (more === 0) throw new Refusal(400, 'the request is incomplete')
    if (more < 0) continue
    // The empty line may start in the bytes read before.
    const end = buffer.subarray(0, count + more).indexOf('\r\n\r\n', Math.max(count - 3, 0))
    count += more
    if (end >= 0) return [buffer.toString('latin1', 0, end), buffer.subarray(end + 4, count)]
  }
  throw new Refusal(431, `the request has more than ${MOST_HEAD} bytes`)
}

/** Writes all bytes, and waits while the client is slow. */
async function write(base: EventBase, fd: number, bytes: Uint8Array): Promise<void> {
  for (let from = 0; from < bytes.length;) {
    const taken = socket.write(fd, bytes, from)
    if (taken < 0) await base.wait(fd, EV.WRITE, { timeout: 10_000 })
    else from += taken
  }
}

/** Answers, and gives the client time to read the answer: a close with unread bytes would reset the connection. */
async function refuse(base: EventBase, fd: number, { status, message }: Refusal): Promise<void> {
  const body = `${message}\n`
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    ...(status === 405 ? ['Allow: CONNECT'] : []),
    'Connection: close',
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ]
  await write(base, fd, Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`))
  socket.shutdown(fd, 'write')
  const trash = Buffer.alloc(65_536)
  const until = performance.now() + LINGER
  for (let count = -1; count !== 0 && performance.now() < until;) {
    await base.wait(fd, EV.READ, { timeout: LINGER })
    count = socket.read(fd, trash)
  }
}

/** The reason why a tunnel could not be opened. */
function unreachable(error: unknown): Refusal {
  const { code, message } = error as NodeJS.ErrnoException
  return new Refusal(code === 'ETIMEDOUT' ? 504 : 502, message)
}

const options = {
  listen: { type: 'string', default: '127.0.0.1:0' },
  allow: { type: 'string', multiple: true, default: [] as string[] },
  deny: { type: 'string', multiple: true, default: [] as string[] },
  'head-timeout': { type: 'string', default: '10' },
  'connect-timeout': { type: 'string', default: '10' },
} as const

await main(import.meta.url, USAGE, options, async (values) => {
  const allowed = values.allow.map((rule) => parseRule('--allow', rule))
  const denied = values.deny.map((rule) => parseRule('--deny', rule))
  if (allowed.length === 0) throw new UsageError('--allow is missing: every request would be refused')
  const headTimeout = parseSeconds('--head-timeout', values['head-timeout'])
  const connectTimeout = parseSeconds('--connect-timeout', values['connect-timeout'])
  const base = new EventBase()

  const serve = async (fd: number, from: string): Promise<void> => {
    const [head, rest] = await readHead(base, fd, headTimeout)
    const target = parseRequest(head)
    if (denied.some((rule) => rule(target)) || !allowed.some((rule) => rule(target))) {
      throw new Refusal(403, `${formatAddress(target)} is not allowed`)
    }
    const there = await connect(base, target, { timeout: connectTimeout }).catch((error: unknown) => {
      throw unreachable(error)
    })
    console.log(from, 'to', formatAddress(target))
    // The relay sends the answer, and the bytes after the head, before it reads.
    const prefix = { aToB: rest, bToA: ESTABLISHED }
    try {
      relay(base, fd, there, { prefix }, ({ reason, bytesAToB, bytesBToA }) => {
        console.log(
          from,
          reason,
          `${bytesAToB} bytes up, ${Math.max(bytesBToA - ESTABLISHED.length, 0)} bytes down`,
        )
      })
    } catch (error) {
      // If the system refuses to watch one of them, the relay has closed both.
      console.log(from, 'failed', (error as Error).message)
    }
  }

  const onConnection = async (fd: number, peer: InternetAddress): Promise<void> => {
    const from = formatAddress(peer)
    try {
      await serve(fd, from)
    } catch (error) {
      if (base.closed) return
      console.log(from, error instanceof Refusal ? error.status : 'failed', (error as Error).message)
      // The client may have closed the connection.
      if (error instanceof Refusal) await refuse(base, fd, error).catch(() => {})
      if (!base.closed) socket.close(fd)
    }
  }
  const listener = listen(base, parseHostAndPort('--listen', values.listen), onConnection)
  const stopped = runUntilStopped(base)
  console.log('listening at', formatAddress(listener.address))
  await stopped
})
