// Runs commands.
import { spawn } from 'node:child_process'
import { join } from 'node:path'

import { endWithThis, exitOnSignals } from './exit.js'

/** The repository's root folder. */
export const root: string = join(import.meta.dirname, '..', '..')

/** The exit code of a command and its output. */
export interface Outcome {
  /** 128 if a signal ended the process or it could not be started. */
  readonly code: number
  /** Both streams, in the order of arrival. A line of one may interrupt a line of the other. */
  readonly output: string
  /** The standard output alone. */
  readonly stdout: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  /** Does not copy the output to the terminal. */
  readonly quiet?: boolean
  /** Milliseconds after which the command is killed; none by default. */
  readonly timeout?: number
}

/** Runs a command to its end and copies its output to the terminal. Never rejects: a failure is an outcome. */
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
    // A signal that a command passes on to its own processes.
    endWithThis(child, 'SIGTERM')
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

/** Runs a command quietly and returns its output. Throws an error with the output if the command fails. */
export async function demand(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, output } = await run(command, args, { quiet: true, ...options })
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${output}`)
  return output
}

/** The path of a program of a development dependency. */
export function tool(name: string): string {
  return join(root, 'node_modules', '.bin', name)
}

/** The last lines of an output. */
export function lastLines(output: string): string {
  return output.trimEnd().split('\n').slice(-8).join('\n')
}

/**
 * Runs the main function of a script. For an error, prints its message and sets exit code 1. A signal exits the script,
 * with 128 and the signal's number.
 */
export async function main(body: () => Promise<boolean>): Promise<void> {
  exitOnSignals()
  try {
    process.exitCode = (await body()) ? 0 : 1
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
