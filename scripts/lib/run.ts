import { spawn } from 'node:child_process'
import { join } from 'node:path'

/** The repository's root folder. */
export const root: string = join(import.meta.dirname, '..', '..')

/** How a command ended and what it printed on both streams, in order of arrival. */
export interface Outcome {
  /** Exit code; 128 for a process ended by a signal or never started. */
  readonly code: number
  readonly output: string
  /** What it printed on the standard output alone: in both together, a line of one may break a line of the other. */
  readonly stdout: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  /** Keeps the output from the terminal; it is returned either way. */
  readonly quiet?: boolean
  /** Milliseconds after which the command is killed; none by default. */
  readonly timeout?: number
}

/** Runs a command to its end, showing its output as it comes. Never rejects: a failure is an outcome. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const { cwd = root, env = process.env, quiet = false, timeout } = options
    const child = spawn(command, args, {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout,
      killSignal: 'SIGKILL',
    })
    let output = ''
    let stdout = ''
    const collect = (stream: NodeJS.WriteStream) => (text: string) => {
      output += text
      if (!quiet) stream.write(text)
    }
    child.stdout
      .setEncoding('utf8')
      .on('data', (text: string) => (stdout += text))
      .on('data', collect(process.stdout))
    child.stderr.setEncoding('utf8').on('data', collect(process.stderr))
    child.on('error', (error) => resolve({ code: 128, output: `${output}${error.message}\n`, stdout }))
    child.on('close', (code) => resolve({ code: code ?? 128, output, stdout }))
  })
}

/** Runs a command quietly and returns what it printed. Throws with that output when it fails. */
export async function demand(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, output } = await run(command, args, { quiet: true, ...options })
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${output}`)
  return output
}

/** The path of a program that a development dependency brings. */
export function tool(name: string): string {
  return join(root, 'node_modules', '.bin', name)
}

/** Runs a script's main function; an error becomes its message and exit code 1. */
export async function main(body: () => Promise<boolean>): Promise<void> {
  try {
    process.exitCode = (await body()) ? 0 : 1
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
