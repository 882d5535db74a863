/**
 * Routes TLS connections by server name: peeks at the ClientHello, chooses the upstream by the name in it (RFC 6066,
 * section 3), and relays. Nothing is decrypted, and relayed bytes do not pass through JavaScript.
 *
 *     npx tsx examples/sni-router.ts --listen 127.0.0.1:8443 \
 *       --route one.example.org=127.0.0.1:9001 --route '*.example.org=127.0.0.1:9002'
 *     openssl s_client -connect 127.0.0.1:8443 -servername one.example.org
 */

import { EV, EventConfig, Feature, type EventBase } from '../index.js'
import { connect, listen, relay, socket, type InternetAddress, type Target } from '../net.js'
import { parseServerName } from './shared/client-hello.js'
import {
  formatAddress,
  main,
  parseHostAndPort,
  parseSeconds,
  parseTarget,
  runUntilStopped,
  UsageError,
} from './shared/command.js'

const USAGE = `
usage: sni-router.ts [--listen HOST:PORT] --route NAME=ADDRESS... [--default ADDRESS]

Forwards TLS connections by the name their clients ask for, until SIGINT or SIGTERM. A
connection with another name, or with none, is closed, unless there is a default; so is
one that does not begin as TLS does.
  --listen HOST:PORT       where to listen (default 127.0.0.1:0, any free port)
  --route NAME=ADDRESS     the upstream of a name; can be repeated. *.DOMAIN is every name
                           below it. An ADDRESS is HOST:PORT or unix:PATH
  --default ADDRESS        the upstream of other names, and of a hello without a name
  --hello-timeout SECONDS  time limit for the hello (default 10)
`

/** The upstreams by name. */
export class Routes {
  readonly #exact = new Map<string, Target>()
  readonly #below = new Map<string, Target>()
  readonly #default: Target | undefined

  constructor(routes: readonly string[], fallback: Target | undefined) {
    for (const route of routes) {
      const [, name = '', address] = /^([^=]+)=(.+)$/.exec(route) ?? []
      if (address === undefined) throw new UsageError(`--route must be NAME=ADDRESS, not "${route}"`)
      const known = name.startsWith('*.') ? this.#below : this.#exact
      known.set(name.replace(/^\*\./, '').toLowerCase(), parseTarget('--route', address))
    }
    this.#default = fallback
  }

  /** The route of the name, or of the nearest parent domain that has one. */
  find(name: string | undefined): Target | undefined {
    if (name === undefined) return this.#default
    const exact = this.#exact.get(name)
    if (exact !== undefined) return exact
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      const found = this.#below.get(name.slice(dot + 1))
      if (found !== undefined) return found
    }
    return this.#default
  }
}

/** More than the hello of any real client: a hello of 16 KiB in records of one byte each is refused as too long. */
const LOOKED_AT = Buffer.alloc(32_768)

/**
 * Returns the name that a client requests, `undefined` if there is none. Throws if the client does not send a complete
 * hello in time.
 */
async function serverName(base: EventBase, fd: number, patience: number): Promise<string | undefined> {
  // Peeked bytes stay in the socket and keep it readable, so only an edge reports more bytes.
  const signal = AbortSignal.timeout(patience)
  for await (const what of base.watch(fd, EV.READ | EV.CLOSED | EV.ET, { signal })) {
    const count = socket.peek(fd, LOOKED_AT)
    if (count < 0) continue
    const hello = parseServerName(LOOKED_AT.subarray(0, count))
    if (hello.whole) return hello.name
    if (count === 0 || (what & EV.CLOSED) !== 0) throw new Error('the hello is incomplete')
    if (count === LOOKED_AT.length) throw new Error('the hello is too long')
  }
  throw new Error('the hello took too long')
}

const options = {
  listen: { type: 'string', default: '127.0.0.1:0' },
  route: { type: 'string', multiple: true, default: [] as string[] },
  default: { type: 'string' },
  'hello-timeout': { type: 'string', default: '10' },
} as const

await main(import.meta.url, USAGE, options, async (values) => {
  const fallback = values.default === undefined ? undefined : parseTarget('--default', values.default)
  const routes = new Routes(values.route, fallback)
  if (values.route.length === 0 && fallback === undefined) throw new UsageError('--route is missing')
  const patience = parseSeconds('--hello-timeout', values['hello-timeout'])
  const base = new EventConfig().requireFeatures(Feature.ET | Feature.EARLY_CLOSE).build()

  const onConnection = async (fd: number, peer: InternetAddress): Promise<void> => {
    const from = formatAddress(peer)
    let there: number
    try {
      const name = await serverName(base, fd, patience)
      const upstream = routes.find(name)
      if (upstream === undefined) throw new Error(`no route for ${name ?? 'a hello without a name'}`)
      there = await connect(base, upstream, { timeout: 5000 })
      console.log(from, name ?? '(no name)', 'to', formatAddress(upstream))
    } catch (error) {
      if (base.closed) return
      socket.close(fd)
      console.log(from, 'closed:', (error as Error).message)
      return
    }
    try {
      relay(base, fd, there)
    } catch (error) {
      // If the system refuses to watch one of them, the relay has closed both.
      console.log(from, 'closed:', (error as Error).message)
    }
  }
  const listener = listen(base, parseHostAndPort('--listen', values.listen), onConnection)
  const stopped = runUntilStopped(base)
  console.log('listening at', formatAddress(listener.address))
  await stopped
})
