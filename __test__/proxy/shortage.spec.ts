import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { expect, onTestFinished, test } from 'vitest'

import { dial, LOOPBACK, serve, sleep, until } from '../net/support.js'

const fixture = fileURLToPath(new URL('../fixtures/proxy-shortage.ts', import.meta.url))

interface Report {
  readonly open: Record<string, number>
  readonly busy: number
  readonly problems: readonly string[]
}

/** A proxy that may open 128 descriptors; `query` returns its report. */
async function starved(
  kind: string,
  upstream: number,
): Promise<{ port: number; query: () => Promise<Report> }> {
  // RLIMIT_NOFILE applies to a process: getrlimit(2).
  const script = 'ulimit -n 128 && exec "$0" --import tsx "$@"'
  const child = spawn('sh', ['-c', script, process.execPath, fixture, kind, String(upstream)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })
  const next = async (): Promise<string> => ((await once(lines, 'line')) as [string])[0]
  const port = Number(await next())
  const query = async (): Promise<Report> => {
    const answer = next()
    child.stdin.write('\n')
    const report = JSON.parse(await answer) as Report
    // Node opens files while it loads.
    const open = Object.fromEntries(Object.entries(report.open).filter(([of]) => of !== 'file'))
    return { ...report, open }
  }
  return { port, query }
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
    const { port, query } = await starved(kind, upstream)
    const before = await query()
    const words = Array.from({ length: 100 }, (_, index) => `word ${index}`)
    const clients = words.map(() => dialAny(port))
    const states = clients.map((client, index) => exchange(client, words[index] ?? ''))
    // As many are served as there are descriptors for; the others wait, or were closed.
    await until(() => states.some(({ received }) => received !== ''), 'an answer')
    let seen = -1
    await until(() => seen === (seen = served + states.filter(({ over }) => over).length), 'rest')
    expect(served).toBeLessThan(clients.length)

    // It does not spin without descriptors.
    const [early, start] = [await query(), performance.now()]
    await sleep(500)
    const late = await query()
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
    let after: Report = await query()
    for (let attempt = 0; attempt < 1000 && !isEqual(after.open, before.open); attempt += 1) {
      await sleep(10)
      after = await query()
    }
    expect(after.open).toEqual(before.open)
  },
)

function isEqual(a: Record<string, number>, b: Record<string, number>): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
