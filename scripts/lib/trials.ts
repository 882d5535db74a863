// Runs tests, each in a process of its own, until one fails. A test may hang, spawn processes and use much memory.
import { spawn } from 'node:child_process'

import { endGroupWithThis, killGroup } from './exit.js'

/** One test or several, in one process. */
export interface Trial {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
  /** Milliseconds after which the process is killed. */
  readonly limit: number
}

export type Ending = 'passed' | 'failed' | 'timeout'

/** The process groups of the trials that are running. */
const running = new Set<number>()

/** Runs a trial to its end, and ends the processes that it leaves behind. */
export function attempt(trial: Trial): Promise<Ending> {
  const { command, args, cwd, env, limit } = trial
  return new Promise((resolve) => {
    const child = endGroupWithThis(spawn(command, args, { cwd, env, stdio: 'ignore', detached: true }))
    const { pid } = child
    if (pid === undefined) {
      child.on('error', () => resolve('failed'))
      return
    }
    running.add(pid)
    let late = false
    const timer = setTimeout(() => {
      late = true
      killGroup(pid)
    }, limit)
    child.on('exit', (code) => {
      clearTimeout(timer)
      killGroup(pid)
      running.delete(pid)
      if (late) resolve('timeout')
      else resolve(code === 0 ? 'passed' : 'failed')
    })
  })
}

/** A trial that did not pass. */
export interface Failure {
  readonly trial: Trial
  readonly ending: 'failed' | 'timeout'
}

/**
 * Runs trials, `jobs` at a time, until one has failed twice in a row or has not ended. A test that fails once and then
 * passes counts as passed.
 */
export async function firstFailure(trials: readonly Trial[], jobs: number): Promise<Failure | undefined> {
  let next = 0
  let found: Failure | undefined
  const work = async (): Promise<void> => {
    for (let trial = trials[next++]; trial !== undefined && found === undefined; trial = trials[next++]) {
      let ending = await attempt(trial)
      if (ending === 'failed' && found === undefined) ending = await attempt(trial)
      if (ending === 'passed' || found !== undefined) continue
      found = { trial, ending }
      running.forEach(killGroup)
    }
  }
  await Promise.all(Array.from({ length: jobs }, work))
  return found
}
