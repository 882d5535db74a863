import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** How a process ended. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Milliseconds after which a program is killed. Long: only one that hangs gets there. */
const PATIENCE = 100_000

/** The path of a program in the folder of fixtures. They are plain JavaScript and run what is in `dist`. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))
}

/** Runs a program to its end in a process of its own; one that hangs is killed, which shows as its signal. */
export function runFixture(name: string, ...args: readonly string[]): Promise<Ended> {
  // A young generation that may not grow, since memory is measured.
  return runFixtureWith(['--expose-gc', '--max-semi-space-size=2'], name, ...args)
}

/** The same with other flags of the runtime. */
export function runFixtureWith(
  flags: readonly string[],
  name: string,
  ...args: readonly string[]
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...flags, fixture(name), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: PATIENCE,
      killSignal: 'SIGKILL',
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
}
