// The subjects of the soak: processes that forward connections, and how they are started, measured and ended.
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

import { socket, type Target } from '../../net.js'
import type { Conditions } from '../../__test__/proxy/fire/round.js'
import { targetFolder } from '../lib/cargo.js'
import { endWithThis, temporaryFolder } from '../lib/exit.js'
import { lastLines } from '../lib/run.js'
import { atRandom, HOST, type Answer, type Entrance, type Fault, type Order } from './program.js'

/** Milliseconds that a program may take to start, to answer and to end. Only one that hangs uses all of them. */
const PATIENCE = 300_000
/** The output of a process that is kept for messages, in characters. */
const MOST_OUTPUT = 4000

/** The folder of the compiled programs. */
export const built: string = targetFolder('soak')

/** A running process. */
export interface Running {
  readonly pid: number
  readonly entrances: readonly Entrance[]
  /** The heap after garbage collection, in bytes; `undefined` if the program cannot be asked. */
  heap(): Promise<number | undefined>
  /** Switches on and off what it does to its own connections. */
  setDisturbed(on: boolean): void
  /** Gives it a fault. */
  plant(fault: Fault, bytes: number): void
  /** Ends it. Returns what was wrong with its end, or with an end before. */
  stop(): Promise<readonly string[]>
}

/** A kind of proxy, or a service for datagrams. */
export interface Subject {
  readonly name: string
  readonly conditions: Conditions
  /** Whether its upstreams go down and come back, one at a time or both together. */
  readonly upstreamsFail?: true
  /** Whether it sends datagrams back. */
  readonly datagrams?: true
  /** Whether its process is replaced while it is disturbed. Memory is then not compared. */
  readonly isReplaced?: true
  /** The fault that its verdict has to report, and nothing else. */
  readonly fault?: Fault
  /** Starts it in front of upstreams. */
  start(upstreams: readonly Target[]): Promise<Running>
}

/** The end of a process as its `exit` event reports it. */
function endOf(child: ChildProcess): Promise<string> {
  endWithThis(child)
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(String(signal ?? code)))
  })
}

/** Collects the last output of a process, for messages. */
function listenTo(child: ChildProcess): { text: string } {
  const output = { text: '' }
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output.text = `${output.text}${text}`.slice(-MOST_OUTPUT)
    })
  }
  return output
}

/** Waits for a promise for a long time. */
async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} takes too long`)), PATIENCE)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Starts a program of this folder. */
async function program(
  name: string,
  upstreams: readonly Target[],
  more: readonly string[],
): Promise<Running> {
  const port = (upstreams[0] as { port: number }).port
  const child = fork(join(built, 'scripts/soak', `${name}.js`), [String(port), ...more], {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const output = listenTo(child)
  const end = endOf(child)
  const ended = end.then((how): never => {
    throw new Error(`${name} ended with ${how}: ${lastLines(output.text)}`)
  })
  ended.catch(() => {})
  const answer = async <T extends Answer['type']>(type: T): Promise<Extract<Answer, { type: T }>> => {
    const [message] = (await within(Promise.race([once(child, 'message'), ended]), name)) as [Answer]
    if (message.type !== type) throw new Error(`${name} answered ${message.type} and not ${type}`)
    return message as Extract<Answer, { type: T }>
  }
  const order = (what: Order): void => {
    child.send(what, () => {})
  }
  const { entrances } = await answer('ready')
  return {
    pid: child.pid ?? 0,
    entrances,
    heap: async () => {
      const answered = answer('measured')
      order({ type: 'measure' })
      return (await answered).heap
    },
    setDisturbed: (on) => order({ type: on ? 'disturb' : 'calm' }),
    plant: (fault, bytes) => order({ type: 'plant', fault, bytes }),
    async stop() {
      const isEarly = child.exitCode !== null || child.signalCode !== null
      if (!isEarly) child.disconnect()
      const how = await within(end, `the end of ${name}`)
      return how === '0' && !isEarly ? [] : [`it ended with ${how}: ${lastLines(output.text)}`]
    },
  }
}

/** A process that prints where it listens and drains on a signal. */
async function served(
  args: readonly string[],
  inherited?: number,
): Promise<{ pid: number; target: Target; end(signals: readonly NodeJS.Signals[]): Promise<string[]> }> {
  const child = spawn(process.execPath, ['--max-semi-space-size=2', ...args], {
    stdio: ['ignore', 'pipe', 'pipe', ...(inherited === undefined ? [] : [inherited])],
  })
  const output = listenTo(child)
  const end = endOf(child)
  const place = await within(
    new Promise<string>((resolve, reject) => {
      child.stdout?.on('data', () => {
        const found = /(?:listening|receiving) at (\S+?),?\s/.exec(output.text)?.[1]
        if (found !== undefined) resolve(found)
      })
      child.once('exit', () => reject(new Error(`${args.join(' ')}: ${lastLines(output.text)}`)))
    }),
    args.join(' '),
  )
  const [host = '', port] = place.split(':')
  return {
    pid: child.pid ?? 0,
    target: host === 'unix' ? { path: place.slice('unix:'.length) } : { host, port: Number(port) },
    async end(signals) {
      const isEarly = child.exitCode !== null || child.signalCode !== null
      for (const signal of signals) child.kill(signal)
      const how = await within(end, 'a drain')
      return how === '0' && !isEarly ? [] : [`it ended with ${how}: ${lastLines(output.text)}`]
    },
  }
}

const COMMAND = join(built, 'ts/cli/main.js')

function format(target: Target): string {
  return 'path' in target ? `unix:${target.path}` : `${target.host}:${target.port}`
}

/** The arguments of `event-base proxy`. */
function proxyCommand(listen: string, upstreams: readonly Target[], more: readonly string[]): string[] {
  const each = upstreams.flatMap((one) => ['--upstream', format(one)])
  return [COMMAND, 'proxy', '--listen', listen, ...each, '--drain-timeout', '2', ...more]
}

/** A command that runs until the end of the soak. */
function commandSubject(
  listen: () => string,
  terms: Entrance['terms'],
  more: readonly string[],
): Subject['start'] {
  return async (upstreams) => {
    const { pid, target, end } = await served(proxyCommand(listen(), upstreams, more))
    return {
      pid,
      entrances: [{ target, terms }],
      heap: async () => undefined,
      setDisturbed() {},
      plant() {},
      stop: () => end(['SIGTERM']),
    }
  }
}

/** A command that is drained again and again. Its successor inherits the listening socket, and starts before. */
async function startReplaced(upstreams: readonly Target[]): Promise<Running> {
  const listener = socket.listen({ host: HOST, port: 0 })
  const target = socket.address(listener) as { host: string; port: number }
  const start = (): ReturnType<typeof served> =>
    served(proxyCommand('fd:3', upstreams, ['--threads', '2']), listener)
  let current = await start()
  const problems: string[] = []
  const ways: readonly NodeJS.Signals[][] = [['SIGHUP'], ['SIGTERM'], ['SIGINT'], ['SIGHUP', 'SIGTERM']]
  let turn = 0
  let replacing = Promise.resolve()
  const replace = atRandom(1000, 4000, () => {
    replacing = (async () => {
      const before = current
      current = await start()
      turn += 1
      problems.push(...(await before.end(ways[turn % ways.length] ?? [])))
    })().catch((error: Error) => void problems.push(error.message))
    return replacing
  })
  return {
    get pid() {
      return current.pid
    },
    entrances: [{ target, terms: 'plain' }],
    heap: async () => undefined,
    setDisturbed: replace,
    plant() {},
    async stop() {
      await replacing
      socket.close(listener)
      return [...problems, ...(await current.end(['SIGTERM']))]
    },
  }
}

async function startEcho(): Promise<Running> {
  const { pid, target, end } = await served([join(built, 'examples/udp-echo.js')])
  return {
    pid,
    entrances: [{ target, terms: 'plain' }],
    heap: async () => undefined,
    setDisturbed() {},
    plant() {},
    stop: () => end(['SIGTERM']),
  }
}

const anyPort = (): string => `${HOST}:0`
const anyPath = (): string => `unix:${join(temporaryFolder('soak'), 'proxy')}`

/** A program of this folder as a subject. */
function programSubject(
  name: string,
  file: string,
  conditions: Conditions = {},
  args: readonly string[] = [],
): Subject {
  return { name, conditions, start: (upstreams) => program(file, upstreams, args) }
}

/** Every subject. The last ones have faults, and prove that the verdict reports them. */
export const subjects: readonly Subject[] = [
  { name: 'command, one thread', conditions: {}, start: commandSubject(anyPort, 'plain', ['--stats']) },
  {
    name: 'command, threads and a rate',
    conditions: {},
    start: commandSubject(anyPort, 'limited', ['--threads', '3', '--rate', '4M']),
  },
  {
    name: 'command, unix sockets',
    conditions: { cut: 'end' },
    start: commandSubject(anyPath, 'plain', ['--threads', '2']),
  },
  {
    name: 'command, idle timeout',
    conditions: {},
    start: commandSubject(anyPort, 'idle', ['--threads', '2', '--idle-timeout', '0.06']),
  },
  {
    name: 'command, upstreams that fail',
    conditions: { disturbed: true },
    upstreamsFail: true,
    start: commandSubject(anyPort, 'plain', ['--threads', '2', '--balance', 'least-connections']),
  },
  {
    name: 'command, drained and replaced',
    conditions: { disturbed: true },
    isReplaced: true,
    start: startReplaced,
  },
  programSubject('relay()', 'relays'),
  programSubject('buffer events', 'streams'),
  programSubject('proxy(), drained and replaced', 'proxies', { disturbed: true }),
  programSubject('terminated workers, relay()', 'workers', { disturbed: true }, ['relays']),
  programSubject('terminated workers, streams', 'workers', { disturbed: true }, ['streams']),
  { name: 'datagrams', conditions: {}, datagrams: true, start: startEcho },
  { ...programSubject('fault: wrong bytes', 'streams'), fault: 'byte' },
  { ...programSubject('fault: one descriptor', 'relays'), fault: 'descriptor' },
  { ...programSubject('fault: memory', 'relays'), fault: 'memory' },
  { ...programSubject('fault: a spin', 'relays'), fault: 'spin' },
]
