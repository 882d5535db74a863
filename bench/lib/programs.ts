// Builds and runs the programs that measure.
import { spawn } from 'node:child_process'
import { relative } from 'node:path'

import { root, run, tool } from '../../scripts/lib/run.js'
import type { NativeReport, SubjectReport } from './figure.js'
import { refuse } from './options.js'

const NATIVE_TARGET = process.env.CARGO_TARGET_DIR ?? 'target'

/** The output of a program, and its command. */
export interface Printed<Report> {
  readonly command: string
  readonly report: Report
}

/** Ends the process with code 2 if libevent's development files are missing. */
export async function requireLibevent(): Promise<void> {
  const found = await run('pkg-config', ['--exists', 'libevent_core', 'libevent_pthreads'], { quiet: true })
  if (found.code !== 0) {
    refuse(
      'The benchmarks run the engine beside the system’s libevent, which was not found. Install it first:\n' +
        '  Debian, Ubuntu: apt-get install libevent-dev pkg-config',
    )
  }
}

/** Builds the native program for release. */
export async function buildNative(): Promise<void> {
  await build('cargo', ['build', '--release', '-p', 'event-base-conformance', '--bin', 'bench'])
}

/** Builds the addon for release, and the subjects with the package's own TypeScript. */
export async function buildTypeScript(): Promise<void> {
  await build('npm', ['run', '--silent', 'build:native'])
  // Compiled by tsc, like the package: a loader that compiles at run time adds calls of its own.
  await build(tool('tsc'), ['-p', 'bench/tsconfig.json'])
}

/** Builds the proxies that are compared, their clients and upstreams. */
export async function buildProxies(): Promise<void> {
  await build('cargo', ['build', '--release', '-p', 'event-base-conformance', '--bin', 'proxy-bench'])
  await buildTypeScript()
}

/** Runs the native program on the subjects whose name starts with `only`. */
export function runNative(only: string, options: readonly string[]): Promise<Printed<NativeReport>> {
  return report(`${NATIVE_TARGET}/release/bench`, ['--only', only, ...options])
}

/** Runs a compiled subject in a process of its own. */
export function runSubject(name: string, options: readonly string[]): Promise<Printed<SubjectReport>> {
  return report(process.execPath, ['--expose-gc', `bench/build/bench/${name}.js`, ...options])
}

async function build(command: string, args: readonly string[]): Promise<void> {
  console.error(`$ ${shown(command, args)}`)
  const { code, output } = await run(command, args, { quiet: true })
  if (code !== 0) throw new Error(`${shown(command, args)} ended with ${code}:\n${output}`)
}

async function report<Report>(command: string, args: readonly string[]): Promise<Printed<Report>> {
  const line = shown(command, args)
  console.error(`$ ${line}`)
  return { command: line, report: JSON.parse(await standardOutput(command, args)) as Report }
}

function standardOutput(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (more: string) => {
      text += more
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0) resolve(text)
      else reject(new Error(`${shown(command, args)} ended with ${code ?? signal}`))
    })
  })
}

/** A command as typed in the root folder of the repository. */
function shown(command: string, args: readonly string[]): string {
  const program =
    command === process.execPath ? 'node' : command.startsWith(root) ? relative(root, command) : command
  return [program, ...args].join(' ')
}
