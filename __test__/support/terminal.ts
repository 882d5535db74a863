/** Programs on a pseudo terminal, which only script(1) can make here: Node cannot. */

import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import { onTestFinished } from 'vitest'

import { until } from './base.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const isLinux = process.platform === 'linux'

/** Whether there are pseudo terminals. Alpine and small containers have no `script`. */
export const hasTerminals =
  !isLinux || String(spawnSync('script', ['--version']).stdout ?? '').includes('util-linux')

/** A command of the shell on a terminal, with the repository as its folder. Killed after the test. */
export class OnTerminal {
  /** Resolves with the exit code of the command. */
  readonly ended: Promise<number | null>
  /** What the command has printed, with what the terminal has echoed. */
  out = ''
  readonly #script: ChildProcessWithoutNullStreams

  constructor(command: string) {
    const args = isLinux ? ['-qefc', command, '/dev/null'] : ['-q', '/dev/null', 'sh', '-c', command]
    this.#script = spawn('script', args, { cwd: root })
    this.#script.stdout.on('data', (chunk) => (this.out += String(chunk)))
    this.#script.stdin.on('error', () => {})
    this.ended = new Promise((resolve) => {
      this.#script.once('close', resolve)
    })
    onTestFinished(() => void this.#script.kill('SIGKILL'))
  }

  async waitForOutput(text: string): Promise<void> {
    await until(() => this.out.includes(text), text)
  }

  type(keys: string | Buffer): void {
    this.#script.stdin.write(keys)
  }

  /** Types keys, and waits until they are answered. */
  async answers(keys: string | Buffer, answer: string): Promise<void> {
    this.out = ''
    this.type(keys)
    await this.waitForOutput(answer)
  }
}

/** A command of the shell that runs a program in TypeScript. */
export function commandOf(script: string, ...args: string[]): string {
  return [process.execPath, '--import', 'tsx', script, ...args].map((word) => `'${word}'`).join(' ')
}
