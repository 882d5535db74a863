// What a program is made to do under a fault, and how the results are judged.
import type { Leave, Part, Plan } from '../../../__test__/proxy/fire/plan.js'
import { Traffic as Connections, UNSERVED } from '../../../__test__/proxy/fire/round.js'
import { EventBase } from '../../../index.js'
import { socket, type InternetAddress } from '../../../net.js'
import type { Subject } from './subject.js'

/** Milliseconds without progress. Only what hangs takes them. */
const PATIENCE = 60_000

/** What is wrong with a round. */
export interface Problem {
  readonly text: string
  /** A proxy has not served a connection, and its client received an error: all servers are counted as down. */
  readonly isUnserved: boolean
}

function problem(text: string): Problem {
  return { text, isUnserved: text.includes(UNSERVED) }
}

/** What a program does. */
export interface Traffic {
  /** The port of the servers, for a proxy. */
  readonly port: number
  /**
   * Makes the program work.
   *
   * @param ready the output with which the program has announced itself
   * @param most how many connections or activities may fail, in order and with an error
   * @param withEarly whether to open connections that a peer ends early, too
   * @returns what is wrong
   */
  round(subject: Subject, ready: RegExpExecArray, most: number, withEarly: boolean): Promise<Problem[]>
  close(): void
}

function part(size: number, how: Leave = { how: 'end' }): Part {
  return { size, offset: 2 * size, piece: 16_384, stall: undefined, leave: how }
}

const AFTER: Leave = { how: 'end after the other' }

/** Connections that end in order: requests and answers, an upload, a download, both, and half-closes. */
const IN_ORDER: readonly (readonly [client: Part, server: Part])[] = [
  [part(100), part(200, AFTER)],
  [part(300_000), part(10, AFTER)],
  [part(10), part(1_000_000)],
  [part(200_000), part(210_000)],
  [part(1000), part(150_000, AFTER)],
  [part(5, AFTER), part(70_000)],
  [part(10), part(0)],
]

/** Connections that a peer ends early: an early answer to an upload, resets and closes by either side. */
const EARLY: readonly (readonly [client: Part, server: Part])[] = [
  [part(400_000), part(5000, { how: 'close', of: 'sent', after: 5000 })],
  [part(100, { how: 'reset', of: 'received', after: 20_000 }), part(300_000)],
  [part(100_000), part(2000, { how: 'reset', of: 'received', after: 1000 })],
  [part(10, { how: 'close', of: 'received', after: 1000 }), part(50_000)],
]

const HOST = '127.0.0.1'

/** Connections through a proxy. */
export class ProxyTraffic implements Traffic {
  readonly #base = new EventBase()
  readonly #connections = new Connections(this.#base)
  readonly #listener: number = this.#connections.serve({ host: HOST, port: 0 })
  /** The number of the last connection. */
  #last = 0

  constructor() {
    void this.#base.run()
  }

  get port(): number {
    return (socket.address(this.#listener) as InternetAddress).port
  }

  async round(
    _subject: Subject,
    ready: RegExpExecArray,
    most: number,
    withEarly: boolean,
  ): Promise<Problem[]> {
    const [connections, port] = [this.#connections, Number(ready[1])]
    const before = { failures: connections.tally.failures.length, empty: connections.empty }
    let broken = 0
    const onJudged = (ended: boolean): void => {
      if (!ended) broken += 1
    }
    const open = ([client, server]: readonly [Part, Part], judged?: (ended: boolean) => void): void => {
      this.#last += 1
      const plan: Plan = { number: this.#last, terms: 'plain', client, server }
      connections.open({ host: HOST, port }, plan, { disturbed: most > 0 }, () => {}, judged)
    }
    try {
      for (const one of IN_ORDER) open(one, onJudged)
      for (const one of withEarly ? EARLY : []) open(one)
    } catch (error) {
      // On this machine a connect may be refused immediately.
      return [problem(`the proxy does not accept: ${String(error)}`)]
    }
    await connections.settle()
    const failures = connections.tally.failures.slice(before.failures).map(problem)
    // With 0, each connection that fails has a failure of its own.
    if (most > 0 && broken > most)
      failures.push(problem(`${broken} connections have failed, and not ${most}`))
    const empty = connections.empty - before.empty
    const cut = 'connections reached the server as empty streams that end in order'
    return empty === 0 ? failures : [...failures, problem(`${empty} ${cut}`)]
  }

  close(): void {
    this.#connections.close(this.#listener)
    this.#base.close()
  }
}

/** The rounds of a program that checks its results itself. */
export class LoopTraffic implements Traffic {
  readonly port = 0

  async round(subject: Subject, _ready: RegExpExecArray, most: number): Promise<Problem[]> {
    const answers = (): string[] => subject.out.split('\n').filter((line) => line.endsWith('}'))
    const before = answers().length
    subject.write('round')
    const line = await subject.waitFor(() => answers()[before], 5 * PATIENCE)
    if (line === undefined) return [problem('the round does not end')]
    const results = Object.entries(JSON.parse(line) as Record<string, string>)
    const failed = results.filter(([, result]) => result !== 'ok')
    // A wrong result is none that a fault explains, and a call that a signal interrupts is repeated.
    const wrong = failed.filter(([, result]) => result.startsWith('wrong') || result === 'EINTR')
    return (failed.length > most ? failed : wrong).map(([name, result]) => problem(`${name}: ${result}`))
  }

  close(): void {}
}
