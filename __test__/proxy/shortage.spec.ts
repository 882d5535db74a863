import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { expect, onTestFinished, test } from 'vitest'

import { dial, LOOPBACK, serve, sleep, until } from '../net/support.js'

const fixture = fileURLToPath(new URL('../fixtures/proxy-shortage.ts', import.meta.url))

interface Report {
  /** Milliseconds of CPU time. */
  readonly busy: number
  readonly problems: readonly string[]
}

/** A proxy that may open 128 descriptors. */
interface Starved {
  readonly port: number
  report(): Promise<Report>
  /** The number of open descriptors by their kind. The process needs a free one to count them. */
  descriptors(): Promise<Record<string, number>>
}

async function starved(kind: string, upstream: number): Promise<Starved> {
  // RLIMIT_NOFILE applies to a process: getrlimit(2).
  const script = 'ulimit -n 128 && exec "$0" --import tsx "$@"'
  const child = spawn('sh', ['-c', script, process.execPath, fixture, kind, String(upstream)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })
  const next = async (): Promise<string> => ((await once(lines, 'line')) as [string])[0]
  const port = Number(await next())
  const query = async (what: string): Promise<unknown> => {
    const answer = next()
    child.stdin.write(`${what}\n`)
    return JSON.parse(await answer)
  }
  return {
    port,
    report: async () => (await query('report')) as Report,
    async descriptors() {
      const open = (await query('descriptors')) as Record<string, number>
      // Node opens files while it loads.
      return Object.fromEntries(Object.entries(open).filter(([of]) => of !== 'file'))
    },
  }
}

/** A client that may be reset before Node has noticed that its connect succeeded. Destroyed after the test. */
function dialAny(port: number): Socket {
  const client = connect({ host: LOOPBACK, port, allowHalfOpen: true })
  onTestFinished(() => void client.destroy())
  return client
}

/** Sends a word; collects what returns until the connection ends in any way. */
function exchange(client: Socket, word: string): { received: string; over: boolean } {
  const state = { received: '', over: false }
  client.on('data', (chunk: Buffer) => (state.received += String(chunk)))
  client.on('error', () => {})
  client.on('close', () => (state.over = true))
  client.on('end', () => client.end())
  client.write(word)
  return state
}

test.each(['relay()', 'proxy()'])(
  '%s: without descriptors in the middle of a burst, connections are served or closed, and the proxy recovers',
  async (kind) => {
    let served = 0
    const upstream = await serve((peer) => {
      served += 1
      peer.pipe(peer)
    })
    const { port, report, descriptors } = await starved(kind, upstream)
    const before = await descriptors()
    const words = Array.from({ length: 100 }, (_, index) => `word ${index}`)
    const clients = words.map(() => dialAny(port))
    const states = clients.map((client, index) => exchange(client, words[index] ?? ''))
    // As many are served as there are descriptors for; the others wait, or were closed.
    await until(() => states.some(({ received }) => received !== ''), 'an answer')
    let seen = -1
    await until(() => seen === (seen = served + states.filter(({ over }) => over).length), 'rest')
    expect(served).toBeLessThan(clients.length)

    // It does not spin without descriptors.
    const [early, start] = [await report(), performance.now()]
    await sleep(500)
    const late = await report()
    expect(late.busy - early.busy).toBeLessThan((performance.now() - start) * 0.6)
    expect(late.problems.length).toBeGreaterThan(0)

    // Connections that end release descriptors for those that wait.
    for (const client of clients) client.end()
    await until(() => states.every(({ over }) => over), 'an end to every connection')
    for (const [index, { received }] of states.entries()) expect(['', words[index]]).toContain(received)
    expect(states.filter(({ received }) => received !== '').length).toBeGreaterThan(10)

    // No descriptor of the burst is left, and further connections are served.
    const client = await dial(port)
    const state = exchange(client, 'after it')
    await until(() => state.received === 'after it', 'an answer after the shortage')
    client.end()
    await until(() => state.over, 'its end')
    let after = await descriptors()
    for (let attempt = 0; attempt < 1000 && !isEqual(after, before); attempt += 1) {
      await sleep(10)
      after = await descriptors()
    }
    expect(after).toEqual(before)
  },
)

function isEqual(a: Record<string, number>, b: Record<string, number>): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
