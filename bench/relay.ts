/**
 * A TCP proxy inside Node: the native relay against two sockets piped into one another. Upstream and client
 * are processes of their own, so that this process's CPU time is the proxy's alone.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Aim, Figure } from './lib/figure.js'
import type { SubjectOptions } from './lib/options.js'
import { type Sample, takeTurns } from './lib/rounds.js'
import { expectCount, figures, main } from './lib/subject.js'
import { answer, type Done, type Listening, type Task } from './relay/messages.js'
import { nodeProxy, type Proxy, relayProxy } from './relay/proxies.js'

type Shape = Omit<Task, 'port'> & { readonly name: string }

const MEBIBYTE = 2 ** 20
const SHAPES: readonly Shape[] = [
  { name: 'bulk, 1 connection', connections: 1, bytes: 512 * MEBIBYTE, message: 0 },
  { name: 'bulk, 8 connections', connections: 8, bytes: 64 * MEBIBYTE, message: 0 },
  { name: '1 KiB messages, 50 connections', connections: 50, bytes: MEBIBYTE / 2, message: 1024 },
]

await main(async (options) => {
  const upstream = child('upstream')
  const ports = await answer<Listening>(upstream)
  const client = child('client')
  try {
    const all: Figure[] = []
    for (const shape of SHAPES) {
      if (shape.name.startsWith(options.only ?? ''))
        all.push(...(await measure(shape, ports, client, options)))
    }
    return all
  } finally {
    client.disconnect()
    upstream.disconnect()
  }
})

async function measure(
  { name, ...task }: Shape,
  ports: Listening,
  client: ChildProcess,
  options: SubjectOptions,
): Promise<Figure[]> {
  const bytes = options.quick ? Math.ceil(task.bytes / 8 / 1024) * 1024 : task.bytes
  const port = task.message === 0 ? ports.sink : ports.echo
  const proxies = [await relayProxy(port), await nodeProxy(port)]
  const sides = proxies.map(
    (proxy) => () => sample(name, proxy, { ...task, bytes, port: proxy.port }, client),
  )
  const values = await takeTurns(sides, options, 5)
  for (const proxy of proxies) await proxy.close()
  return figures(values, {
    subject: 'relay',
    unit: '',
    reference: 'Node',
    aim: (figure): Aim =>
      figure.includes('CPU')
        ? { kind: 'at-most', of: 'Node', ratio: 1 }
        : { kind: 'at-least', of: 'Node', ratio: 1 },
  })
}

async function sample(name: string, proxy: Proxy, task: Task, client: ChildProcess): Promise<Sample> {
  const before = process.cpuUsage()
  client.send({ ...task, port: proxy.port } satisfies Task)
  const { milliseconds, received } = await answer<Done>(client)
  const { user, system } = process.cpuUsage(before)
  const bytes = task.connections * task.bytes
  expectCount('bytes that came through', received, bytes)
  return {
    [`relay/${name}, MiB per second`]: bytes / MEBIBYTE / (milliseconds / 1000),
    [`relay/${name}, CPU ns per KiB`]: ((user + system) * 1000) / (bytes / 1024),
  }
}

function child(name: string): ChildProcess {
  // Compiled or not, the child's program is of the same kind as this file.
  const file = new URL(`./relay/${name}${extname(import.meta.filename)}`, import.meta.url)
  return fork(fileURLToPath(file))
}
