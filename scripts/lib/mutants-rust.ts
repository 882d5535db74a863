// The mutants of the crates. cargo-mutants lists them. This module builds and tests them itself, because the wire can be
// tested only by the specs, and because one build of a crate's many test files takes longer than the tests.
import { createHash } from 'node:crypto'
import { copyFile, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join, relative, resolve } from 'node:path'

import { modes } from './matrix.js'
import {
  branchPoint,
  candidates,
  Equivalents,
  inOrder,
  place,
  type Mutant,
  type Selection,
  type Tally,
} from './mutants.js'
import { SETTINGS } from './mutants-specs.js'
import { MUTANTS } from './mutants-store.js'
import { TOGETHER, Tree } from './mutants-tree.js'
import { binaryName, readManifest, thisPlatform } from './platforms.js'
import { demand, root, run } from './run.js'
import {
  buildArtifacts,
  nameOfBinary,
  namesOfTests,
  testBinaries,
  type Artifact,
  type TestBinary,
} from './test-binaries.js'
import { attempt, firstFailure, type Trial } from './trials.js'

/** The version of cargo-mutants. */
const VERSION = '27.1.0'

/** Kibibytes of address space that a test may use. */
const MOST_MEMORY = 8 << 20

/** Milliseconds that a test may take in addition to five times what it takes without a mutant. */
const PATIENCE = 20_000

const environment: NodeJS.ProcessEnv = {
  ...process.env,
  CARGO_TARGET_DIR: join(MUTANTS, 'build'),
  CARGO_INCREMENTAL: '1',
  CARGO_PROFILE_DEV_DEBUG: '0',
  CARGO_PROFILE_TEST_DEBUG: '0',
  // A mutant may leave a variable unused, and joined tests have items that no other module uses.
  RUSTFLAGS: '--cap-lints=allow',
}

/** A mutant as cargo-mutants lists it. Lines and columns count from 1. */
interface Listed {
  readonly name: string
  readonly file: string
  readonly replacement: string
  readonly span: {
    readonly start: { readonly line: number; readonly column: number }
    readonly end: { readonly line: number; readonly column: number }
  }
}

interface Change extends Mutant {
  /** The text of the file with the change. */
  readonly apply: (text: string) => string
}

/** The output of building a crate. */
interface Built {
  /** The files that the tests use. */
  readonly files: readonly string[]
  /** The file in which the compiler lists the sources. It has no modules that only tests have. */
  readonly sources: string
  readonly trials: () => Promise<readonly Omit<Trial, 'limit'>[]>
}

interface Crate {
  readonly name: string
  /** Throws if the crate does not compile. */
  readonly build: (tree: Tree) => Promise<Built>
}

/** Installs cargo-mutants below the folder for build output. Returns the path of the program. */
async function installed(): Promise<string> {
  const folder = join(MUTANTS, 'tools')
  const program = join(folder, 'bin', 'cargo-mutants')
  const { output } = await run(program, ['mutants', '--version'], { quiet: true })
  if (!output.includes(VERSION)) {
    const args = ['install', 'cargo-mutants', '--locked', `--version=${VERSION}`, `--root=${folder}`]
    await demand('cargo', args, { env: { ...process.env, CARGO_TARGET_DIR: join(MUTANTS, 'build-tools') } })
  }
  return program
}

/** The offset of a line and column in a text. Columns count characters. */
function offset(lines: readonly string[], line: number, column: number): number {
  const before = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0)
  return before + [...(lines[line - 1] ?? '')].slice(0, column - 1).join('').length
}

/** The change of a listed mutant. The lines behind it keep their numbers, which panics contain. */
function changeOf({ name, file, replacement, span: { start, end } }: Listed, text: string): Change {
  const lines = text.split('\n')
  const [from, to] = [offset(lines, start.line, start.column), offset(lines, end.line, end.column)]
  const code = text.slice(from).split('\n', 1)[0] ?? ''
  const lost = text.slice(from, to).split('\n').length - replacement.split('\n').length
  const padded = replacement + '\n'.repeat(Math.max(0, lost))
  const change = name.replace(/^\S+:\d+:\d+: /, '').replaceAll(/\s+/g, ' ')
  return {
    file,
    line: start.line,
    column: start.column,
    code,
    change,
    apply: (original) => original.slice(0, from) + padded + original.slice(to),
  }
}

/** Lists the mutants of a crate; with `diff`, only those of the lines that it changes. */
async function list(program: string, tree: Tree, crate: string, diff?: string): Promise<Change[]> {
  const args = [
    'mutants',
    '--list',
    '--json',
    `--package=${crate}`,
    ...(diff === undefined ? [] : ['--in-diff', diff]),
  ]
  const { code, output, stdout } = await run(program, args, { cwd: tree.folder, quiet: true })
  if (code !== 0) throw new Error(`cargo-mutants ended with ${code}:\n${output}`)
  const listed = stdout.trim() === '' ? [] : (JSON.parse(stdout) as Listed[])
  // cargo-mutants omits modules under `cfg(test)`, and not those under `cfg(all(test, ...))`.
  const own = listed.filter(({ name }) => !/\btests::/.test(name))
  const texts = await tree.read(new Set(own.map(({ file }) => file)))
  return own.map((one) => changeOf(one, texts.get(one.file) ?? ''))
}

/** Limits the memory of a test: a loop that allocates would take that of the whole system. */
function limited(path: string, args: readonly string[]): Pick<Trial, 'command' | 'args'> {
  return { command: 'sh', args: ['-c', `ulimit -v ${MOST_MEMORY}; exec "$0" "$@"`, path, ...args] }
}

/** The tests of a binary: in one process, as `cargo test` runs them, or for joined binaries each in its own. */
async function trialsOf(binary: TestBinary): Promise<Omit<Trial, 'limit'>[]> {
  const { path, cwd } = binary
  const name = nameOfBinary(binary)
  if (name !== TOGETHER) return [{ name, ...limited(path, []), cwd, env: environment }]
  return (await namesOfTests(binary)).map((test) => {
    return { name: test, ...limited(path, [test, '--exact']), cwd, env: environment }
  })
}

/** The variables that select another backend or another mode for tests that read them. */
function combinations(): Record<string, string>[] {
  const [usual, ...others] =
    process.platform === 'linux' ? ['epoll', 'poll', 'select'] : ['kqueue', 'poll', 'select']
  const inModes = modes.filter(({ name, suits }) => name !== 'shared' && suits(usual ?? ''))
  return [
    ...inModes.map(({ name }) => ({ EVENT_BASE_TEST_MODE: name })),
    ...others.map((name) => ({ EVENT_BASE_TEST_BACKEND: name })),
  ]
}

/** The rules of the engine and its conformance rows in a combination of backend and mode. */
function combinedTests(binaries: readonly TestBinary[]): Omit<Trial, 'limit'>[] {
  return combinations().flatMap((variables) =>
    binaries.flatMap((binary) => {
      const { path, cwd } = binary
      const name = nameOfBinary(binary)
      const filter = { rules: [], conformance: ['c_'], signals: ['c_'], forked: ['c_'] }[name]
      if (filter === undefined || (filter.length === 0 && !isRuled(variables))) return []
      const label = `${name} with ${Object.values(variables).join(', ')}`
      return [{ name: label, ...limited(path, filter), cwd, env: { ...environment, ...variables } }]
    }),
  )
}

/** Whether the rules run in a combination: `scripts/conformance.ts`. */
function isRuled({ EVENT_BASE_TEST_MODE: mode = 'shared' }: Record<string, string>): boolean {
  return !['precise', 'signalfd'].includes(mode)
}

/** The file in which the compiler lists the sources of a crate's library, as other crates use it: without its tests. */
export function sourcesOf(artifacts: readonly Artifact[], name: string): string {
  const library = artifacts.find(
    ({ target, profile }) =>
      target.name.replaceAll('-', '_') === name.replaceAll('-', '_') &&
      target.kind.includes('lib') &&
      !profile.test,
  )
  const path = library?.filenames.find((file) => file.endsWith('.rlib'))
  if (path === undefined) throw new Error(`cargo has built no library of ${name}`)
  return path.replace(/lib([^/\\]*)\.rlib$/, '$1.d')
}

/** A crate that has Rust tests. */
function tested(name: string): Crate {
  const build = async (tree: Tree): Promise<Built> => {
    const args = [`--package=${name}`, ...(await tree.testsOf(name))]
    const artifacts = await buildArtifacts(args, { cwd: tree.folder, env: environment })
    const binaries = testBinaries(artifacts)
    const files = binaries.map(({ path }) => path)
    const trials = async (): Promise<Omit<Trial, 'limit'>[]> => {
      const own = (await Promise.all(binaries.map(trialsOf))).flat()
      return [...own, ...combinedTests(binaries)]
    }
    return { files, sources: sourcesOf(artifacts, name), trials }
  }
  return { name, build }
}

/** Folders of specs that do not depend on the addon's code. */
const ELSEWHERE = ['docs', 'examples', 'fixtures', 'package', 'scripts', 'smoke', 'support', 'types']

/** Settings for vitest without the checks and builds before the first test. */
const settings = `import config from './vitest.config.js'
const { globalSetup: _, ...test } = config.test ?? {}
const limits = { testTimeout: 40_000, hookTimeout: 40_000, bail: 1 }
export default { test: { ...test, ...limits, maxWorkers: 1, fileParallelism: false } }
`

/** The specs of the copy, one run for each folder. Compiles `dist` in the copy, which some of their processes load. */
async function specTrials({ folder }: Tree): Promise<Omit<Trial, 'limit'>[]> {
  const modules = join(folder, 'node_modules')
  await rm(modules, { force: true })
  await symlink(join(root, 'node_modules'), modules)
  await demand(process.execPath, [join(modules, 'typescript/bin/tsc'), '-p', 'tsconfig.json'], {
    cwd: folder,
  })
  await writeFile(join(folder, SETTINGS), settings)
  const entries = await readdir(join(folder, '__test__'), { withFileTypes: true })
  const folders = entries.filter((one) => one.isDirectory() && !ELSEWHERE.includes(one.name))
  const vitest = [join(modules, 'vitest/vitest.mjs'), 'run', `--config=${SETTINGS}`]
  return folders.map(({ name }) => ({
    name: `the specs in ${name}`,
    command: process.execPath,
    args: [...vitest, '--project=host', '--project=thread', `__test__/${name}/`],
    cwd: folder,
    env: process.env,
  }))
}

/** The wire, which only the specs test. */
const wire: Crate = {
  name: 'event-base-napi',
  build: async (tree) => {
    await demand('cargo', ['build', '--package=event-base-napi'], { cwd: tree.folder, env: environment })
    const library = join(MUTANTS, 'build', 'debug', 'libevent_base_napi')
    const manifest = await readManifest()
    const addon = join(tree.folder, binaryName(manifest, thisPlatform(manifest)))
    await copyFile(`${library}.${process.platform === 'darwin' ? 'dylib' : 'so'}`, addon)
    return { files: [addon], sources: `${library}.d`, trials: () => specTrials(tree) }
  },
}

const crates: readonly Crate[] = [tested('event-base'), tested('event-base-net'), wire]

/** A number that depends on the content of files: a mutant that changes none is in code that is not compiled. */
async function fingerprint(files: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const file of files) hash.update(await readFile(file))
  return hash.digest('hex')
}

/** The tests that pass without a mutant, with the time that each may take, and the names of those that fail. */
async function rehearse(
  trials: readonly Omit<Trial, 'limit'>[],
  jobs: number,
): Promise<{ passed: Trial[]; failed: string[] }> {
  const passed: Trial[] = []
  const failed: string[] = []
  let next = 0
  const work = async (): Promise<void> => {
    for (let trial = trials[next++]; trial !== undefined; trial = trials[next++]) {
      const start = performance.now()
      const once = { ...trial, limit: 600_000 }
      const passes = (await attempt(once)) === 'passed' || (await attempt(once)) === 'passed'
      if (passes) passed.push({ ...trial, limit: PATIENCE + 5 * (performance.now() - start) })
      else failed.push(trial.name)
    }
  }
  await Promise.all(Array.from({ length: jobs }, work))
  return { passed, failed }
}

type Outcome = 'caught' | 'missed' | 'timeout' | 'unviable'

/** Builds a mutant and runs the tests. The test that notices it is the first for the next one. */
async function judge(
  crate: Crate,
  tree: Tree,
  original: string,
  trials: Trial[],
  jobs: number,
): Promise<Outcome> {
  const built = await crate.build(tree).catch(() => undefined)
  if (built === undefined || (await fingerprint(built.files)) === original) return 'unviable'
  const failure = await firstFailure(trials, jobs)
  if (failure === undefined) return 'missed'
  trials.splice(trials.indexOf(failure.trial), 1)
  trials.unshift(failure.trial)
  return failure.ending === 'timeout' ? 'timeout' : 'caught'
}

/** The sources of a build. */
async function compiledFiles(built: Built, tree: Tree): Promise<Set<string>> {
  const text = await readFile(built.sources, 'utf8')
  const paths = text.match(/\S+\.rs(?=[\s:]|$)/g) ?? []
  return new Set(paths.map((path) => relative(tree.folder, resolve(tree.folder, path))))
}

async function tallyOf(
  crate: Crate,
  tree: Tree,
  selected: readonly Change[],
  selection: Selection,
): Promise<Pick<Tally, Outcome | 'broken'>> {
  const counts = { caught: 0, timeout: 0, unviable: 0 }
  const missed: Change[] = []
  if (selected.length === 0) return { ...counts, missed, broken: [] }
  const jobs = availableParallelism()
  const built = await crate.build(tree)
  const original = await fingerprint(built.files)
  const { passed: trials, failed: broken } = await rehearse(await built.trials(), jobs)
  console.log(`--- ${crate.name}: ${trials.length} runs of tests pass without a mutant`)
  for (const name of broken) console.log(`fails without a mutant: ${name}`)
  const compiled = await compiledFiles(built, tree)
  const most = selection.sample ?? selected.length
  for (const mutant of inOrder(selected, selection)) {
    if (counts.caught + counts.timeout + missed.length >= most) break
    const outcome = compiled.has(mutant.file)
      ? await tree.with(mutant.file, mutant.apply, () => judge(crate, tree, original, trials, jobs))
      : 'unviable'
    const by = outcome === 'caught' || outcome === 'timeout' ? ` by ${trials[0]?.name}` : ''
    console.log(`${outcome}${by}: ${place(mutant)}`)
    if (outcome === 'missed') missed.push(mutant)
    else counts[outcome] += 1
  }
  return { ...counts, missed, broken }
}

/** Tests the mutants of the crates. */
export async function mutantsOfRust(selection: Selection): Promise<Tally[]> {
  const { since, subjects } = selection
  const chosen = crates.filter(({ name }) => subjects.length === 0 || subjects.includes(name))
  if (chosen.length === 0) return []
  const program = await installed()
  const tree = await Tree.at(join(MUTANTS, 'tree'))
  const equivalents = await Equivalents.read()
  let diff: string | undefined
  if (since !== undefined) {
    diff = join(MUTANTS, 'changes.diff')
    await mkdir(MUTANTS, { recursive: true })
    await writeFile(diff, await demand('git', ['diff', await branchPoint(since), '--', 'crates']))
  }
  const tallies: Tally[] = []
  for (const crate of chosen) {
    const existing = await list(program, tree, crate.name)
    const selected = diff === undefined ? existing : await list(program, tree, crate.name, diff)
    const different = candidates(selected, equivalents, selection)
    tallies.push({
      subject: crate.name,
      existing: existing.length,
      equivalent: existing.filter((mutant) => equivalents.has(mutant)).length,
      stale: equivalents.stale(`crates/${crate.name}/`, existing),
      ...(await tallyOf(crate, tree, different, selection)),
    })
  }
  return tallies
}
