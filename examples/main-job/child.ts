/** A part of the job in its own process. */

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

  /** The port that it listens at: its first message. */
  async port(): Promise<number> {
    return (await this.#next()) as number
  }

  /** Stops it, and returns its last message. */
  async stop(): Promise<unknown> {
    this.#process.send('stop')
    const report = await this.#next()
    while (this.#code === undefined) await this.#change()
    if (this.#code !== 0) throw new Error(`${this.#name} ended with ${this.#code}`)
    return report
  }

  /** Ends it, if it still runs. */
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

/** In the child: sends `message` to the parent. */
export function sendToParent(message: unknown): void {
  process.send?.(message)
}

/** In the child: calls `stop` when the parent stops it, and sends the result. Ends the process if the parent ends. */
export function onStop(stop: () => Promise<unknown>): void {
  process.once('message', () => {
    void (async () => {
      sendToParent((await stop()) ?? null)
      process.off('disconnect', leave)
      process.disconnect()
    })()
  })
  process.on('disconnect', leave)
}

function leave(): void {
  process.exit(1)
}
