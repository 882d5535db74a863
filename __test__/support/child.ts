import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The end of a process, and its output. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Milliseconds after which a program is killed: long, so that only a program that hangs is. */
export const PATIENCE = 100_000

/** The path of a program in the folder of fixtures. They are JavaScript and use `dist`. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))
}

/** Waits for the end of a process and collects its output. */
export function ended(child: ChildProcess): Promise<Ended> {
  return new Promise((resolve, reject) => {
    let [stdout, stderr] = ['', '']
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
}

/** Runs a fixture in a process of its own. One that hangs is killed, which its `signal` shows. */
export function runFixture(name: string, ...args: readonly string[]): Promise<Ended> {
  // A young generation that does not grow, because memory is measured.
  return runFixtureWith(['--expose-gc', '--max-semi-space-size=2'], name, ...args)
}

/** The same with other flags of the runtime. */
export function runFixtureWith(
  flags: readonly string[],
  name: string,
  ...args: readonly string[]
): Promise<Ended> {
  return ended(
    spawn(process.execPath, [...flags, fixture(name), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: PATIENCE,
      killSignal: 'SIGKILL',
    }),
  )
}
