/** A part of the job in a process of its own. */

import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Starts a script of this folder, learns its port, stops it and checks how it ended. */
export class Child {
  readonly #name: string
  readonly #process: ChildProcess
  readonly #messages: unknown[] = []
  #code: number | string | undefined
  #wake: () => void = () => {}

  constructor(name: string, args: string[]) {
    this.#name = name
    this.#process = fork(fileURLToPath(new URL(name, import.meta.url)), args)
    this.#process.on('message', (message) => {
      this.#messages.push(message)
      this.#wake()
    })
    this.#process.on('exit', (code, signal) => {
      this.#code = code ?? signal ?? 'unknown'
      this.#wake()
    })
  }

  /** The port it listens at: the first thing it says. */
  async port(): Promise<number> {
    return (await this.#next()) as number
  }

  /** Lets it end, and returns the last thing it says. */
  async stop(): Promise<unknown> {
    this.#process.send('stop')
    const report = await this.#next()
    while (this.#code === undefined) await this.#change()
    if (this.#code !== 0) throw new Error(`${this.#name} ended with ${this.#code}`)
    return report
  }

  /** Makes sure that it is gone. */
  kill(): void {
    if (this.#code === undefined) this.#process.kill('SIGKILL')
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  async #next(): Promise<unknown> {
    while (this.#messages.length === 0) {
      if (this.#code !== undefined) throw new Error(`${this.#name} ended with ${this.#code}`)
      await this.#change()
    }
    return this.#messages.shift()
  }
}

/** The child's side: says `message` to the parent. */
export function say(message: unknown): void {
  process.send?.(message)
}

/** The child's side: calls `stop` once when the parent says so, and ends if the parent is gone. */
export function onStop(stop: () => void): void {
  process.once('message', () => {
    stop()
    process.off('disconnect', leave)
    process.disconnect()
  })
  process.on('disconnect', leave)
}

function leave(): void {
  process.exit(1)
}
