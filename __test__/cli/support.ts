/** Runs the command and the examples as processes. */

import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import { onTestFinished } from 'vitest'

/** Milliseconds to wait for output. Only a process that hangs uses all of them. */
const PATIENCE = 100_000

const root = fileURLToPath(new URL('../../', import.meta.url))

/** The output of a process and how it ended. */
export interface Ended {
  code: number | null
  signal: string | null
  out: string
  err: string
}

/** A running process. */
export class Running {
  readonly process: ChildProcess
  readonly ended: Promise<Ended>
  out = ''
  err = ''

  /**
   * @param inherited descriptors that the process inherits as 3, 4 and so on
   * @param stderr a descriptor in place of a pipe whose bytes are collected
   */
  constructor(script: string, args: string[], inherited: number[] = [], stderr?: number) {
    const command = ['--import', 'tsx', script, ...args]
    this.process = spawn(process.execPath, command, {
      cwd: root,
      stdio: ['pipe', 'pipe', stderr ?? 'pipe', ...inherited],
    })
    this.process.stdout?.on('data', (chunk) => (this.out += String(chunk)))
    this.process.stderr?.on('data', (chunk) => (this.err += String(chunk)))
    this.ended = new Promise((resolve) => {
      this.process.once('close', (code, signal) => resolve({ code, signal, out: this.out, err: this.err }))
    })
    onTestFinished(() => void this.process.kill('SIGKILL'))
  }

  /** Waits until the output on either stream matches `pattern`. */
  async waitForOutput(pattern: RegExp): Promise<RegExpExecArray> {
    const giveUp = performance.now() + PATIENCE
    for (;;) {
      const match = pattern.exec(this.out) ?? pattern.exec(this.err)
      if (match !== null) return match
      if (performance.now() > giveUp) throw new Error(`${pattern} does not match: ${this.out}${this.err}`)
      await new Promise((resolve) => {
        setTimeout(resolve, 10)
      })
    }
  }
}

/** Runs the command `event-base`. */
export function eventBase(...args: string[]): Running {
  return new Running('ts/cli/main.ts', args)
}
