// A process under test: its output, its descriptors, its CPU time and its end.
import { spawn, type ChildProcess } from 'node:child_process'
import { setTimeout } from 'node:timers/promises'

import { endWithThis } from '../exit.js'
import { root } from '../run.js'
import { descriptorTargets, threadTimes } from '../system.mjs'

/** How a process ended. */
export interface End {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** Milliseconds of a window in which the CPU time is measured. */
const WINDOW = 100
/** The number of windows in a row that a spinning process keeps busy. */
const WINDOWS = 5
/** The share of a window that the threads of an idle process run at most, and that one of them is ready to run at most. */
const RUNS = 0.2
const IS_READY = 0.5

/** A running process of Node with the preloaded library. */
export class Subject {
  out = ''
  err = ''
  end: End | undefined
  readonly #child: ChildProcess
  readonly #closed: Promise<End>

  /** @param args the program and its arguments */
  constructor(args: readonly string[], env: NodeJS.ProcessEnv) {
    this.#child = endWithThis(
      spawn(process.execPath, args, {
        cwd: root,
        env: { ...process.env, ...env },
        stdio: ['pipe', 'pipe', 'pipe'],
      }),
    )
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.out += text))
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.err += text))
    // A process that has ended reads nothing more.
    this.#child.stdin?.on('error', () => {})
    this.#closed = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (code, signal) => {
        this.end = { code, signal }
        resolve(this.end)
      })
    })
  }

  /** The open descriptors: for each, its number and what it refers to. */
  get descriptors(): ReadonlySet<string> {
    const targets = this.#read(descriptorTargets, new Map<number, string>())
    return new Set([...targets].map(([number, target]) => `${number} ${target}`))
  }

  /** Writes a line to its standard input. */
  write(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  /** Waits until `find` returns a value; returns `undefined` if the process ends first or the time is over. */
  async waitFor<T>(find: () => T | undefined, patience: number): Promise<T | undefined> {
    const giveUp = performance.now() + patience
    for (;;) {
      const hasEnded = this.end !== undefined
      const found = find()
      if (found !== undefined || hasEnded || performance.now() > giveUp) return found
      await setTimeout(2)
    }
  }

  /** Whether it uses CPU time although it has nothing to do. */
  async isSpinning(): Promise<boolean> {
    const times = (): ReturnType<typeof threadTimes> => this.#read(threadTimes, new Map())
    for (let window = 0; window < WINDOWS; window += 1) {
      const [before, start] = [times(), performance.now()]
      await setTimeout(WINDOW)
      const after = times()
      const elapsed = (performance.now() - start) * 1e6
      let [ran, longest] = [0, 0]
      for (const [thread, [running, waiting]] of after) {
        const [ranBefore, waitedBefore] = before.get(thread) ?? [running, waiting]
        ran += running - ranBefore
        // On a busy machine a thread that spins waits for a processor.
        longest = Math.max(longest, running - ranBefore + waiting - waitedBefore)
      }
      if (ran < elapsed * RUNS && longest < elapsed * IS_READY) return false
    }
    return true
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Waits for the end of the process; kills it when the time is over, and then returns `undefined`. */
  async waitForEnd(patience: number): Promise<End | undefined> {
    const timeout = new AbortController()
    const late = setTimeout(patience, undefined, { signal: timeout.signal }).catch(() => undefined)
    const end = await Promise.race([this.#closed, late])
    timeout.abort()
    if (end === undefined) {
      this.kill('SIGKILL')
      await this.#closed
    }
    return end
  }

  /** What the system reports about the process; the value for a process that has ended if it reports nothing. */
  #read<T>(report: (pid: number) => T, ended: T): T {
    try {
      return report(this.#child.pid ?? 0)
    } catch {
      return ended
    }
  }
}
