// The mutants of `ts/`. They are put into a copy of the repository, in which the specs run that reach the changed
// function: those that call it in their own process, in a worker, or in a process that they start, which uses `dist`.
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import ts from 'typescript'

import { targetFolder } from './cargo.js'
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
import { mutantsOfSource, recording, type SourceMutant } from './mutants-source.js'
import { SETTINGS, Specs } from './mutants-specs.js'
import { Tree } from './mutants-tree.js'
import { readManifest, thisPlatform } from './platforms.js'
import { demand, root } from './run.js'

const here = targetFolder('mutants')

/** The folders of specs that test other things than the behaviour of `ts/`. */
const ELSEWHERE = ['docs', 'examples', 'package', 'scripts', 'types']

/** Milliseconds that a test may take; those of specs that wait long for a condition are ended earlier. */
const TEST_LIMIT = 40_000

/** Milliseconds that a spec may take in addition to ten times what it takes without a mutant. */
const PATIENCE = 60_000

/** Milliseconds that several specs may take without a mutant. Only specs that hang take them. */
const REHEARSAL = 1_200_000

/** The number of specs that run in one process. */
const TOGETHER = 8

/** Most specs that run for a change outside of functions, which every spec reaches that loads the file. */
const MOST_SPECS = 30

interface Change extends Mutant, SourceMutant {}

/** Which functions a spec reaches. */
interface Coverage {
  /** The hash of the spec. */
  readonly hash: string
  /** Milliseconds that it takes. */
  readonly duration: number
  /** The functions by file, with the hash of the file. */
  readonly files: Record<string, { readonly hash: string; readonly functions: readonly string[] }>
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** Settings for vitest without the checks and builds before the first test. */
const settings = `import { BaseSequencer } from 'vitest/node'
import config from './vitest.config.js'
const { globalSetup: _, projects = [], ...test } = config.test ?? {}
const excluded = ${JSON.stringify(ELSEWHERE.map((folder) => `__test__/${folder}/**`))}
class Sequencer extends BaseSequencer {
  async sort(files) {
    return files
  }
}
export default {
  test: {
    ...test,
    testTimeout: ${TEST_LIMIT},
    hookTimeout: ${TEST_LIMIT},
    bail: 1,
    // A process for each spec takes longer than most specs. A failure counts only if the spec fails alone too.
    isolate: false,
    sequence: { sequencer: Sequencer },
    setupFiles: ['mutants.setup.mjs'],
    projects: projects
      .filter((project) => project.test.name !== 'types')
      .map((project) => ({ ...project, test: { ...project.test, exclude: excluded } })),
  },
}
`

/** Names the file in which the processes of a spec record the functions that run. */
const setup = `import { expect } from 'vitest'
const { projectName } = globalThis.__vitest_worker__.ctx
const folder = process.env.EVENT_BASE_RECORD
const path = expect.getState().testPath.slice(process.cwd().length + 1)
if (folder) process.env.EVENT_BASE_RECORD_FILE = folder + '/' + projectName + ' ' + path.replaceAll('/', ' ')
`

const recorder = `import { appendFileSync } from 'node:fs'
const seen = new Map()
globalThis.__recordFunction ??= (name) => {
  const file = process.env.EVENT_BASE_RECORD_FILE
  if (file === undefined) return
  let names = seen.get(file)
  if (names === undefined) seen.set(file, (names = new Set()))
  if (names.has(name)) return
  try {
    appendFileSync(file, name + '\\n')
    names.add(name)
  } catch {
    // A process without free descriptors, or of another user, cannot record. It must behave as without the recorder.
  }
}
`

/** The copy of the repository, with the sources of `ts/` in it and in `dist`. */
class Copy {
  readonly tree: Tree
  readonly options: ts.CompilerOptions
  readonly texts: ReadonlyMap<string, string>
  readonly #written: Set<string> = new Set()

  private constructor(tree: Tree, options: ts.CompilerOptions, texts: ReadonlyMap<string, string>) {
    this.tree = tree
    this.options = options
    this.texts = texts
  }

  static async open(): Promise<Copy> {
    const tree = await Tree.at(join(here, 'tree-ts'))
    const manifest = await readManifest()
    const addon = `${manifest.napi.binaryName}.${thisPlatform(manifest)}.node`
    for (const name of ['node_modules', addon]) {
      await rm(join(tree.folder, name), { force: true })
      await symlink(join(root, name), join(tree.folder, name))
    }
    await writeFile(join(tree.folder, SETTINGS), settings)
    await writeFile(join(tree.folder, 'mutants.setup.mjs'), setup)
    const { options } = ts.parseJsonConfigFileContent(
      ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path)).config,
      ts.sys,
      root,
    )
    const below = await readdir(join(root, 'ts'), { recursive: true })
    const files = below.filter((file) => file.endsWith('.ts')).map((file) => join('ts', file))
    const texts = await tree.read([...files, 'index.ts', 'net.ts'])
    const copy = new Copy(tree, options, texts)
    for (const [file, text] of texts) await copy.write(file, text)
    return copy
  }

  /** The paths that were written since the last call. */
  taken(): string[] {
    const written = [...this.#written]
    this.#written.clear()
    return written
  }

  /** Writes a source, and compiles it. */
  async write(file: string, text: string): Promise<void> {
    const source = join(this.tree.folder, file)
    const compiled = join(this.tree.folder, 'dist', file.replace(/\.ts$/, '.js'))
    // For a single file the compiler does not read `package.json`, which names the kind of module.
    const compilerOptions = { ...this.options, module: ts.ModuleKind.ESNext }
    const { outputText } = ts.transpileModule(text, { compilerOptions, fileName: file })
    await mkdir(dirname(compiled), { recursive: true })
    await writeFile(source, text)
    await writeFile(compiled, outputText)
    this.#written.add(source).add(compiled)
  }
}

/** Checks the types of changed files. */
class TypeCheck {
  readonly #service: ts.LanguageService
  readonly #versions = new Map<string, { text: string; version: number }>()

  constructor(files: ReadonlyMap<string, string>, options: ts.CompilerOptions) {
    for (const [file, text] of files) this.#versions.set(join(root, file), { text, version: 0 })
    this.#service = ts.createLanguageService({
      getScriptFileNames: () => [...this.#versions.keys()],
      getScriptVersion: (path) => String(this.#versions.get(path)?.version ?? 0),
      getScriptSnapshot: (path) => {
        const text = this.#versions.get(path)?.text ?? ts.sys.readFile(path)
        return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text)
      },
      getCurrentDirectory: () => root,
      getCompilationSettings: () => options,
      getDefaultLibFileName: ts.getDefaultLibFilePath,
      fileExists: ts.sys.fileExists,
      readFile: ts.sys.readFile,
      readDirectory: ts.sys.readDirectory,
      directoryExists: ts.sys.directoryExists,
      getDirectories: ts.sys.getDirectories,
    })
  }

  /** Whether a file with another text has errors. What is only unused or unreachable is none. */
  fails(file: string, text: string): boolean {
    const path = join(root, file)
    const original = this.#versions.get(path)?.text ?? ''
    this.#set(path, text)
    const found = [
      ...this.#service.getSyntacticDiagnostics(path),
      ...this.#service.getSemanticDiagnostics(path),
    ]
    this.#set(path, original)
    return found.some(({ reportsUnnecessary }) => reportsUnnecessary === undefined)
  }

  #set(path: string, text: string): void {
    this.#versions.set(path, { text, version: (this.#versions.get(path)?.version ?? 0) + 1 })
  }
}

function listed(file: string, text: string): Change[] {
  return mutantsOfSource(text).map((mutant) => {
    const before = text.slice(0, mutant.from).split('\n')
    return {
      ...mutant,
      file,
      line: before.length,
      column: (before.at(-1) ?? '').length + 1,
      code: text.slice(mutant.from).split('\n', 1)[0] ?? '',
    }
  })
}

/** The lines of each file that differ from a commit. */
async function changedLines(since: string): Promise<Map<string, Set<number>>> {
  const diff = await demand('git', ['diff', '--unified=0', since, '--', 'ts', 'index.ts', 'net.ts'])
  const lines = new Map<string, Set<number>>()
  let current = new Set<number>()
  for (const line of diff.split('\n')) {
    const file = /^\+\+\+ b\/(.*)$/.exec(line)?.[1]
    if (file !== undefined) lines.set(file, (current = new Set()))
    const [, start = '', count = '1'] = /^@@ -\S+ \+(\d+)(?:,(\d+))? @@/.exec(line) ?? []
    const changed = start === '' ? 0 : Number(count)
    for (let index = 0; index < changed; index++) current.add(Number(start) + index)
  }
  return lines
}

/** What specs do without a mutant. */
interface Rehearsal {
  /** The milliseconds that each spec takes which passes. */
  readonly durations: ReadonlyMap<string, number>
  /** The specs that fail, with their messages. */
  readonly failed: readonly string[]
}

/** Runs specs without a mutant, several in each process. A spec fails if it fails alone too. */
async function rehearse(specs: Specs, names: readonly string[]): Promise<Rehearsal> {
  const durations = new Map<string, number>()
  const failed: string[] = []
  for (let left = [...names]; left.length > 0;) {
    const some = left.slice(0, TOGETHER)
    const start = performance.now()
    const { ending, spec = '' } = await specs.run(some, [], REHEARSAL)
    // Without the name of a spec the process has died or does not answer, and the first one runs alone.
    const done = ending === 'passed' ? some : some.slice(0, Math.max(0, some.indexOf(spec)) + 1)
    for (const name of done) durations.set(name, (performance.now() - start) / done.length)
    left = left.slice(done.length)
    const suspect = done.at(-1)
    if (ending === 'passed' || suspect === undefined) continue
    const again = await specs.run([suspect], [], REHEARSAL)
    if (again.ending === 'passed') continue
    durations.delete(suspect)
    failed.push(`${suspect}: ${again.message ?? again.ending}`)
    console.log(`fails without a mutant: ${failed.at(-1)}`)
  }
  return { durations, failed }
}

/** The same spec in the project for Node's usual driver. */
function hostOf(spec: string): string {
  return spec.replace(/^thread /, 'host ')
}

/** The place of a spec in the order: those for Node's usual driver are first. */
function rankOf(spec: string): number {
  return spec === hostOf(spec) ? 0 : 1
}

/** Which specs reach which function. */
class Reach {
  /** The specs that fail without a mutant, with their messages. They reach nothing. */
  readonly broken: readonly string[]
  readonly #coverage: ReadonlyMap<string, Coverage>
  readonly #functions: ReadonlyMap<string, readonly string[]>

  private constructor(
    coverage: ReadonlyMap<string, Coverage>,
    functions: ReadonlyMap<string, readonly string[]>,
    broken: readonly string[],
  ) {
    this.broken = broken
    this.#coverage = coverage
    this.#functions = functions
  }

  /** Runs the specs that changed, or of which a source changed, and records the functions that they reach. */
  static async measure(copy: Copy, specs: Specs): Promise<Reach> {
    const store = join(here, 'reach.json')
    const known = JSON.parse(await readFile(store, 'utf8').catch(() => '{}')) as Record<string, Coverage>
    const hashes = new Map([...copy.texts].map(([file, text]) => [file, hashOf(text)]))
    const functions = new Map<string, readonly string[]>()
    const prelude = `import ${JSON.stringify(join(copy.tree.folder, 'mutants.recorder.mjs'))}`
    await writeFile(join(copy.tree.folder, 'mutants.recorder.mjs'), recorder)
    const texts = new Map<string, string>()
    for (const [file, text] of copy.texts) {
      const recorded = recording(text, `${file} `, prelude)
      functions.set(file, recorded.functions)
      texts.set(file, recorded.text)
    }
    const coverage = new Map<string, Coverage>()
    const broken: string[] = []
    const missing: [string, string][] = []
    const names = await specs.names()
    // The projects differ in the driver, which is native. A spec reaches the same functions in both.
    for (const spec of names.filter((name) => !names.includes(hostOf(name)) || name === hostOf(name))) {
      const hash = hashOf(await readFile(join(copy.tree.folder, spec.replace(/^\S+ /, '')), 'utf8'))
      const old = known[spec]
      const isCurrent =
        old?.hash === hash && Object.entries(old.files).every(([file, one]) => one.hash === hashes.get(file))
      if (old !== undefined && isCurrent) coverage.set(spec, old)
      else missing.push([spec, hash])
    }
    if (missing.length > 0) {
      const folder = join(here, 'reached')
      await rm(folder, { recursive: true, force: true })
      await mkdir(folder, { recursive: true })
      process.env['EVENT_BASE_RECORD'] = folder
      specs.end()
      for (const [file, text] of texts) await copy.write(file, text)
      const { durations, failed } = await rehearse(
        specs,
        missing.map(([spec]) => spec),
      )
      for (const [spec, hash] of missing) {
        const duration = durations.get(spec)
        if (duration === undefined) continue
        const path = join(folder, spec.replaceAll('/', ' '))
        const reached = (await readFile(path, 'utf8').catch(() => '')).trimEnd().split('\n')
        const files: Record<string, { hash: string; functions: string[] }> = {}
        for (const line of new Set(reached)) {
          const [file = '', name = ''] = line.split(' ', 2)
          const fileHash = hashes.get(file)
          if (fileHash !== undefined) (files[file] ??= { hash: fileHash, functions: [] }).functions.push(name)
        }
        coverage.set(spec, { hash, duration, files })
      }
      await writeFile(store, JSON.stringify(Object.fromEntries(coverage)))
      delete process.env['EVENT_BASE_RECORD']
      specs.end()
      for (const [file, text] of copy.texts) await copy.write(file, text)
      broken.push(...failed)
    }
    for (const name of names) {
      const same = coverage.get(hostOf(name))
      if (same !== undefined) coverage.set(name, same)
    }
    return new Reach(coverage, functions, broken)
  }

  /** The specs that reach a change: first those that use little else than its file, then the fast ones. */
  of({ file, name }: Change): [spec: string, duration: number][] {
    const isFunction = this.#functions.get(file)?.includes(name) === true
    const found: { spec: string; duration: number; share: number }[] = []
    for (const [spec, { duration, files }] of this.#coverage) {
      const reached = files[file]?.functions
      if (reached === undefined || (isFunction && !reached.includes(name))) continue
      const all = Object.values(files).reduce((sum, { functions }) => sum + functions.length, 0)
      found.push({ spec, duration, share: reached.length / all })
    }
    found.sort(
      (one, other) =>
        rankOf(one.spec) - rankOf(other.spec) || other.share - one.share || one.duration - other.duration,
    )
    const most = isFunction ? found.length : MOST_SPECS
    return found.slice(0, most).map(({ spec, duration }) => [spec, duration])
  }
}

type Outcome = 'caught' | 'missed' | 'timeout'

/** Runs the specs that reach a mutant until one fails twice in a row or does not end. */
async function judge(copy: Copy, specs: Specs, reach: Reach, mutant: Change): Promise<[Outcome, string]> {
  const text = copy.texts.get(mutant.file) ?? ''
  await copy.write(mutant.file, text.slice(0, mutant.from) + mutant.text + text.slice(mutant.to))
  try {
    const all = reach.of(mutant)
    if (all.length === 0) return ['missed', ', which no spec reaches']
    for (let first = 0; first < all.length; first += TOGETHER) {
      const some = all.slice(first, first + TOGETHER)
      const limit = PATIENCE + 10 * some.reduce((sum, [, duration]) => sum + duration, 0)
      let left = some.map(([spec]) => spec)
      while (left.length > 0) {
        const { ending, spec = '' } = await specs.run(left, copy.taken(), limit)
        if (ending === 'passed') break
        if (ending === 'timeout') return ['timeout', ` by ${spec || left.join(', ')}`]
        const again = await specs.run([spec], [], limit)
        if (again.ending !== 'passed')
          return [again.ending === 'failed' ? 'caught' : 'timeout', ` by ${spec}`]
        left = left.slice(left.indexOf(spec) + 1)
      }
    }
    return ['missed', '']
  } finally {
    await copy.write(mutant.file, text)
  }
}

/** The part of `ts/` that a file belongs to. */
function partOf(file: string): string {
  return dirname(file)
}

/** Tests the mutants of `ts/`. */
export async function mutantsOfTs(selection: Selection): Promise<Tally[]> {
  const { since, subjects } = selection
  if (subjects.length > 0 && !subjects.includes('ts')) return []
  const copy = await Copy.open()
  const equivalents = await Equivalents.read()
  const existing = [...copy.texts].flatMap(([file, text]) => listed(file, text))
  const lines = since === undefined ? undefined : await changedLines(await branchPoint(since))
  const changed = existing.filter(({ file, line }) => lines?.get(file)?.has(line) ?? lines === undefined)
  const selected = candidates(changed, equivalents, selection)
  const tally = { caught: 0, timeout: 0, unviable: 0 }
  const missed: Change[] = []
  let broken: readonly string[] = []
  const parts = new Map<string, { caught: number; missed: number }>()
  if (selected.length > 0) {
    const specs = new Specs(copy.tree.folder)
    try {
      const reach = await Reach.measure(copy, specs)
      broken = reach.broken
      const types = new TypeCheck(copy.texts, copy.options)
      const most = selection.sample ?? selected.length
      for (const mutant of inOrder(selected, selection)) {
        if (tally.caught + tally.timeout + missed.length >= most) break
        const text = copy.texts.get(mutant.file) ?? ''
        if (types.fails(mutant.file, text.slice(0, mutant.from) + mutant.text + text.slice(mutant.to))) {
          tally.unviable += 1
          continue
        }
        const [outcome, by] = await judge(copy, specs, reach, mutant)
        console.log(`${outcome}${by}: ${place(mutant)}`)
        const part = parts.get(partOf(mutant.file)) ?? { caught: 0, missed: 0 }
        parts.set(partOf(mutant.file), part)
        if (outcome === 'missed') {
          missed.push(mutant)
          part.missed += 1
        } else {
          tally[outcome] += 1
          part.caught += 1
        }
      }
    } finally {
      specs.end()
    }
  }
  for (const [part, counts] of [...parts].sort()) {
    console.log(`${part}: ${counts.caught} caught, ${counts.missed} missed`)
  }
  return [
    {
      subject: 'ts',
      existing: existing.length,
      equivalent: existing.filter((mutant) => equivalents.has(mutant)).length,
      stale: equivalents.stale('ts/', existing),
      broken,
      ...tally,
      missed,
    },
  ]
}
