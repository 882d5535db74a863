// Runs the publishing job of the release workflow on this machine, step by step, as its runner does.
import { spawn } from 'node:child_process'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { parse } from 'yaml'

import { endGroupWithThis, killGroup } from '../lib/exit.js'
import { artifact, readManifest } from '../lib/platforms.js'
import { demand, root } from '../lib/run.js'

interface Step {
  readonly name?: string
  readonly uses?: string
  readonly run?: string
  readonly if?: string
  readonly env?: Readonly<Record<string, string>>
  readonly with?: Readonly<Record<string, string>>
}

interface Job {
  readonly env?: Readonly<Record<string, string>>
  readonly steps: readonly Step[]
}

/** How a job ended. */
export interface JobOutcome {
  /** Whether every step succeeded. */
  readonly passed: boolean
  /** The output of all steps. */
  readonly output: string
}

export interface JobOptions {
  /** The folder for the checkout. It must not exist. */
  readonly folder: string
  /** The version whose tag starts the workflow. */
  readonly version: string
  /** Platform → file. */
  readonly binaries: ReadonlyMap<string, string>
  /** Variables that replace those of the workflow. */
  readonly env: NodeJS.ProcessEnv
  /** Ends the job, as a cancelled workflow or a lost runner does. */
  readonly interrupt?: AbortSignal
}

async function publishingJob(): Promise<Job> {
  const text = await readFile(join(root, '.github', 'workflows', 'release.yml'), 'utf8')
  const { jobs } = parse(text) as { jobs: Record<string, Job> }
  if (jobs['publish'] === undefined) throw new Error('release.yml has no job "publish"')
  return jobs['publish']
}

/** Copies the files of the repository, with the changes that are not committed, and sets the version. */
async function checkOut(folder: string, version: string): Promise<void> {
  const listed = await demand('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'])
  for (const path of listed.split('\0').filter((name) => name !== '')) {
    const target = join(folder, path)
    await mkdir(dirname(target), { recursive: true })
    await copyFile(join(root, path), target).catch((error: NodeJS.ErrnoException) => {
      // Deleted, but not committed yet.
      if (error.code !== 'ENOENT') throw error
    })
  }
  const args = ['version', '--no-git-tag-version', '--allow-same-version', '--ignore-scripts', version]
  await demand('npm', args, { cwd: folder })
}

/** Whether the condition of a step holds for a version. */
function holds(condition: string | undefined, version: string): boolean {
  if (condition === undefined) return true
  if (condition === "contains(github.ref_name, '-')") return version.includes('-')
  throw new Error(`the rehearsal does not know the condition ${condition}`)
}

/** Does what an action does. */
async function act(step: Step, { folder, version, binaries }: JobOptions): Promise<void> {
  const action = step.uses?.split('@')[0]
  if (action === 'actions/checkout') {
    await checkOut(folder, version)
  } else if (action === 'actions/download-artifact') {
    const manifest = await readManifest()
    for (const [platform, file] of binaries) {
      const target = join(folder, step.with?.['path'] ?? '.', artifact(manifest, platform))
      await mkdir(dirname(target), { recursive: true })
      await copyFile(file, target)
    }
  } else if (action !== 'actions/setup-node') {
    throw new Error(`the rehearsal does not know the action ${step.uses}`)
  }
}

/** Runs commands as a runner does, in a process group of their own. Returns the exit code and the output. */
function command(
  text: string,
  cwd: string,
  env: NodeJS.ProcessEnv,
  interrupt: AbortSignal | undefined,
): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe']
    const child = endGroupWithThis(spawn('bash', ['-e', '-c', text], { cwd, env, stdio, detached: true }))
    const end = (): void => {
      if (child.pid !== undefined) killGroup(child.pid)
    }
    interrupt?.addEventListener('abort', end, { once: true })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (part: string) => (output += part))
    }
    child.on('error', reject)
    child.on('close', (code) => {
      interrupt?.removeEventListener('abort', end)
      end()
      resolve({ code: code ?? 128, output })
    })
  })
}

/** The variables that a step has written to the file `GITHUB_ENV`, as `NAME=value` lines. */
async function exported(file: string): Promise<NodeJS.ProcessEnv> {
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '')
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
}

/** Runs the job. A failed step ends it. */
export async function runJob(options: JobOptions): Promise<JobOutcome> {
  const { folder, version, env, interrupt } = options
  const job = await publishingJob()
  const variables = `${folder}.env`
  await mkdir(folder)
  await writeFile(variables, '')
  let output = ''
  for (const step of job.steps) {
    if (!holds(step.if, version)) continue
    if (step.run === undefined) {
      await act(step, options)
      continue
    }
    const runner = { GITHUB_ENV: variables, GITHUB_REF_NAME: `v${version}`, CI: 'true' }
    const all = { ...process.env, ...runner, ...job.env, ...step.env, ...(await exported(variables)), ...env }
    // The dependencies of the scripts come from the registry that this machine uses.
    const own = step.run.startsWith('npm ci') ? process.env : all
    const result = await command(step.run, folder, own, interrupt)
    output += result.output
    if (result.code !== 0) {
      const name = step.name ?? step.run.split('\n', 1)[0]
      return { passed: false, output: `${output}\nthe step "${name}" ended with ${result.code}` }
    }
  }
  return { passed: true, output }
}
