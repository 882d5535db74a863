// Runs specs in a process that is ended if a mutant blocks it.
import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'

import { root } from './run.js'

/** The settings of vitest in the copy of the repository. */
export const SETTINGS = 'mutants.config.ts'

/** What the process is to do. */
export interface Request {
  /** Projects and files of specs, such as `host __test__/run/abort.spec.ts`, which run one after the other. */
  readonly specs: readonly string[]
  /** The absolute paths of files that differ from the last request. */
  readonly changed: readonly string[]
  /** Milliseconds that a test or a hook may take; by default those of vitest's settings. */
  readonly testLimit?: number
}

/** What it has found. */
export interface Answer {
  readonly ending: 'passed' | 'failed' | 'timeout' | 'broken'
  /** The spec that did not pass, if it is known. */
  readonly spec?: string
  readonly message?: string
  /** Milliseconds that each spec took which ran. */
  readonly durations?: Readonly<Record<string, number>>
}

/** Milliseconds that vitest may take to start: long, so that only a process that hangs takes them. */
const START_LIMIT = 1_200_000

const runner = join(root, 'scripts/lib/mutants-runner.ts')

/** Runs specs until one fails. */
export class Specs {
  readonly #folder: string
  #child: ChildProcess | undefined
  #names: readonly string[] = []

  constructor(folder: string) {
    this.#folder = folder
    process.on('exit', () => this.end())
  }

  /** Ends the process, and those that its specs have started. */
  end(): void {
    const { pid } = this.#child ?? {}
    this.#child = undefined
    if (pid === undefined) return
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      // It has ended.
    }
  }

  /** The names of all specs. */
  async names(): Promise<readonly string[]> {
    await this.#started()
    return this.#names
  }

  /** Runs specs, for `limit` milliseconds at most. */
  async run(request: Request, limit: number): Promise<Answer> {
    const child = await this.#started()
    const answer = await next(child, limit, () => child.send(request))
    if (answer !== undefined) {
      const { ending, message } = answer as Answer
      if (ending === 'broken') throw new Error(message)
      return answer as Answer
    }
    this.end()
    return { ending: 'timeout', message: 'the process did not answer' }
  }

  async #started(): Promise<ChildProcess> {
    if (this.#child?.connected === true) return this.#child
    this.end()
    const child = fork(runner, [this.#folder], {
      cwd: this.#folder,
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      detached: true,
    })
    this.#child = child
    const names = await next(child, START_LIMIT, () => {})
    if (names === undefined) throw new Error('vitest did not start in the copy of the repository')
    this.#names = names as string[]
    return child
  }
}

/** The next message of a process; `undefined` if it ends, or sends none within `limit` milliseconds. */
function next(child: ChildProcess, limit: number, begin: () => void): Promise<unknown> {
  return new Promise((resolve) => {
    const settle = (value: unknown): void => {
      clearTimeout(timer)
      child.off('message', settle)
      child.off('exit', leave)
      resolve(value)
    }
    const leave = (): void => settle(undefined)
    const timer = setTimeout(leave, limit)
    child.on('message', settle)
    child.on('exit', leave)
    begin()
  })
}
