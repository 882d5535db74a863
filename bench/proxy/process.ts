// Processes: the proxies, the upstreams and the clients.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import { endWithThis } from '../../scripts/lib/exit.js'
import { pinned } from './processors.js'

/** Milliseconds a server may take to listen, and a process to end. */
const PATIENCE = 20_000

/** A process that serves on a port of the loopback address. */
export interface Server {
  readonly pid: number
  readonly port: number
  stop(): Promise<void>
}

/** How a server is started. */
export interface ServerOptions {
  readonly processors: readonly number[]
  /** The port. Without one, the server chooses a port and prints `listening at HOST:PORT`. */
  readonly port?: number
}

/** Starts a server and waits until it listens. */
export async function serve(command: readonly string[], options: ServerOptions): Promise<Server> {
  const child = start(pinned(options.processors, command), ['ignore', 'pipe', 'pipe'])
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output = `${output}${text}`.slice(-10_000)
    })
  }
  const { pid } = child
  if (pid === undefined) throw new Error(`${command[0]} could not be started`)
  const deadline = performance.now() + PATIENCE
  for (;;) {
    const port = options.port ?? Number(/listening at \S*:(\d+)/.exec(output)?.[1])
    if (isListening(port)) return { pid, port, stop: () => stop(child) }
    if (hasEnded(child) || performance.now() > deadline) {
      await stop(child)
      throw new Error(`${command.join(' ')} does not listen: ${output.trim().split('\n', 3).join(' / ')}`)
    }
    await sleep(10)
  }
}

/** Runs a client to its end and returns its output. */
export async function runClient(command: readonly string[], processors: readonly number[]): Promise<string> {
  const client = openClient(command, processors)
  return await client.ended
}

/** A running client. */
export interface Client {
  readonly child: ChildProcess
  /** Resolves with its output when it exits with code 0. */
  readonly ended: Promise<string>
}

/** Starts a client whose standard input stays open. */
export function openClient(command: readonly string[], processors: readonly number[]): Client {
  const child = start(pinned(processors, command), ['pipe', 'pipe', 'pipe'])
  let output = ''
  let errors = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const ended = new Promise<string>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) resolve(output)
      else reject(new Error(`${command.join(' ')} ended with ${code ?? signal}: ${errors || output}`.trim()))
    })
  })
  // Reported to the caller that waits for the output.
  ended.catch(() => {})
  return { child, ended }
}

/** The limit of descriptors of a process. */
export function descriptorLimit(): number {
  const text = readFileSync('/proc/self/limits', 'utf8')
  const most = /^Max open files\s+\S+\s+(\S+)/m.exec(text)?.[1]
  return most === 'unlimited' ? Infinity : Number(most)
}

function start([program = '', ...args]: readonly string[], stdio: ('ignore' | 'pipe')[]): ChildProcess {
  const child = endWithThis(spawn(program, args, { stdio }))
  // A program that cannot be started has no pid, or ends with an error.
  child.on('error', () => {})
  return child
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

async function stop(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  // Kills the process, because proxies would wait for connections that are still open.
  const impatience = setTimeout(() => child.kill('SIGKILL'), 500)
  await ended
  clearTimeout(impatience)
}

/** Whether a process listens at a port of this machine. Reads /proc, because a proxy would forward a connection. */
function isListening(port: number): boolean {
  if (!Number.isInteger(port)) return false
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return ['/proc/net/tcp', '/proc/net/tcp6'].some((table) =>
    readFileSync(table, 'utf8')
      .split('\n')
      .some((line) => {
        const [, local = '', , state] = line.trim().split(/\s+/)
        return local.endsWith(wanted) && state === '0A'
      }),
  )
}
