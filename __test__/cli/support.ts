/** Runs the command and the examples as processes. */

import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import { onTestFinished } from 'vitest'

import type { ProxyStats, UpstreamStats } from '../../net.js'

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

/** Statistics of an upstream without traffic. */
export function upstream(name: string, more: Partial<UpstreamStats> = {}): UpstreamStats {
  const counts = { connected: 0, open: 0, refused: 0, failed: 0, bytesAToB: 0, bytesBToA: 0 }
  return { name, weight: 1, state: 'up', ...counts, connectMs: 0, longestConnectMs: 0, ...more }
}

/** Statistics of a proxy without traffic. */
export function stats(upstreams: UpstreamStats[], more: Partial<ProxyStats> = {}): ProxyStats {
  const connections = { accepted: 0, open: 0, refused: 0, failed: 0, timedOut: 0, acceptPauses: 0 }
  return { ...connections, bytesAToB: 0, bytesBToA: 0, threads: [], upstreams, ...more }
}
