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

/** The specs that test other things than the behaviour of `ts/`. */
const ELSEWHERE = [
  '__test__/{docs,examples,scripts,types}/**',
  '__test__/package/{bundlers,exports,version,workflows}.spec.ts',
]

/**
 * Milliseconds that a test may take with a mutant, in addition to five times what its spec takes without one. Tests that
 * wait long for a condition are ended earlier.
 */
const TEST_PATIENCE = 20_000

/** Milliseconds that a spec may take in addition to ten times what it takes without a mutant. */
const PATIENCE = 60_000

/** Milliseconds that several specs may take without a mutant. Only specs that hang take them. */
const REHEARSAL = 1_200_000

/** The number of specs that run in one process. */
const TOGETHER = 8

/** Most specs that run for a change outside of functions, which every spec reaches that loads the file. */
const MOST_SPECS = 30

interface Change extends Mutant, SourceMutant {}

/** The hash of each function by its file and its name. */
type Hashes = ReadonlyMap<string, ReadonlyMap<string, string>>

/** Which functions a spec reaches. */
interface Coverage {
  /** The hash of the spec. */
  readonly hash: string
  /** Milliseconds that it takes. */
  readonly duration: number
  /** The hashes of the functions by file and name; the empty name is what is outside of functions. */
  readonly files: Record<string, Record<string, string>>
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** Settings for vitest without the checks and builds before the first test. */
const settings = `import { BaseSequencer } from 'vitest/node'
import config from './vitest.config.js'
const { globalSetup: _, projects = [], ...test } = config.test ?? {}
const excluded = ${JSON.stringify(ELSEWHERE)}
class Sequencer extends BaseSequencer {
  async sort(files) {
    return files
  }
}
export default {
  test: {
    ...test,
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

/** Reports the specs that pass, with the milliseconds that each takes. */
type Passed = (durations: ReadonlyMap<string, number>) => Promise<void>

/**
 * Runs specs without a mutant, several in each process. Returns those that fail, with their messages: a spec fails if it
 * fails alone too.
 */
async function rehearse(specs: Specs, names: readonly string[], passed: Passed): Promise<string[]> {
  const failed: string[] = []
  const start = performance.now()
  for (let left = [...names]; left.length > 0;) {
    const some = left.slice(0, TOGETHER)
    const { ending, spec = '', durations = {} } = await specs.run({ specs: some, changed: [] }, REHEARSAL)
    // Without the name of a spec the process has died or does not answer, and the first one runs alone.
    const done = ending === 'passed' ? some : some.slice(0, Math.max(0, some.indexOf(spec)) + 1)
    left = left.slice(done.length)
    const took = new Map(done.map((name) => [name, durations[name] ?? 0]))
    const suspect = done.at(-1)
    if (ending !== 'passed' && suspect !== undefined) {
      const again = await specs.run({ specs: [suspect], changed: [] }, REHEARSAL)
      took.delete(suspect)
      if (again.ending === 'passed') {
        took.set(suspect, again.durations?.[suspect] ?? 0)
      } else {
        failed.push(`${suspect}: ${again.message ?? again.ending}`)
        console.log(`fails without a mutant: ${failed.at(-1)}`)
      }
    }
    await passed(took)
    console.log(`${names.length - left.length} of ${names.length} specs recorded, ${secondsSince(start)}`)
  }
  return failed
}

function secondsSince(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(0)} s`
}

/** The same spec in the project for Node's usual driver. */
function hostOf(spec: string): string {
  return spec.replace(/^thread /, 'host ')
}

/** The place of a spec in the order: those for Node's usual driver are first. */
function rankOf(spec: string): number {
  return spec === hostOf(spec) ? 0 : 1
}

/** What a run learns for the next one, in a file below `target`. */
class Store<T> {
  readonly #path: string
  readonly #entries: Map<string, T>

  private constructor(path: string, entries: Map<string, T>) {
    this.#path = path
    this.#entries = entries
  }

  static async open<T>(name: string): Promise<Store<T>> {
    const path = join(here, `${name}.json`)
    const entries = JSON.parse(await readFile(path, 'utf8').catch(() => '{}')) as Record<string, T>
    return new Store(path, new Map(Object.entries(entries)))
  }

  get(key: string): T | undefined {
    return this.#entries.get(key)
  }

  set(key: string, value: T): void {
    this.#entries.set(key, value)
  }

  async save(): Promise<void> {
    await writeFile(this.#path, JSON.stringify(Object.fromEntries(this.#entries)))
  }
}

/** Which specs reach which function. */
class Reach {
  /** The specs that fail without a mutant, with their messages. They reach nothing. */
  readonly broken: readonly string[]
  readonly #coverage: ReadonlyMap<string, Coverage>
  readonly #functions: Hashes

  private constructor(coverage: ReadonlyMap<string, Coverage>, functions: Hashes, broken: readonly string[]) {
    this.broken = broken
    this.#coverage = coverage
    this.#functions = functions
  }

  /** Runs the specs that changed, or that reach a function that changed, and records the functions that they reach. */
  static async measure(copy: Copy, specs: Specs): Promise<Reach> {
    const store = await Store.open<Coverage>('reach')
    const functions = new Map<string, Map<string, string>>()
    const prelude = `import ${JSON.stringify(join(copy.tree.folder, 'mutants.recorder.mjs'))}`
    await writeFile(join(copy.tree.folder, 'mutants.recorder.mjs'), recorder)
    const texts = new Map<string, string>()
    for (const [file, text] of copy.texts) {
      const recorded = recording(text, `${file} `, prelude)
      functions.set(file, new Map([...recorded.functions].map(([name, one]) => [name, hashOf(one)])))
      texts.set(file, recorded.text)
    }
    const coverage = new Map<string, Coverage>()
    const broken: string[] = []
    const missing: [string, string][] = []
    const names = await specs.names()
    // The projects differ in the driver, which is native. A spec reaches the same functions in both.
    for (const spec of names.filter((name) => !names.includes(hostOf(name)) || name === hostOf(name))) {
      const hash = hashOf(await readFile(join(copy.tree.folder, spec.replace(/^\S+ /, '')), 'utf8'))
      const old = store.get(spec)
      // A spec reaches the same functions as long as those that it reaches stay as they are.
      const isCurrent =
        old?.hash === hash &&
        Object.entries(old.files).every(([file, reached]) =>
          Object.entries(reached).every(([name, one]) => functions.get(file)?.get(name) === one),
        )
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
      const hashOfSpec = new Map(missing)
      const failed = await rehearse(specs, [...hashOfSpec.keys()], async (durations) => {
        for (const [spec, duration] of durations) {
          const path = join(folder, spec.replaceAll('/', ' '))
          const reached = (await readFile(path, 'utf8').catch(() => '')).trimEnd().split('\n')
          const files: Record<string, Record<string, string>> = {}
          for (const line of new Set(reached)) {
            const [file = '', name = ''] = line.split(' ', 2)
            const one = functions.get(file)?.get(name)
            if (one !== undefined) (files[file] ??= {})[name] = one
          }
          const one = { hash: hashOfSpec.get(spec) ?? '', duration, files }
          coverage.set(spec, one)
          store.set(spec, one)
        }
        await store.save()
      })
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
    const isFunction = name !== '' && this.#functions.get(file)?.has(name) === true
    const found: { spec: string; duration: number; share: number }[] = []
    for (const [spec, { duration, files }] of this.#coverage) {
      const reached = files[file]
      if (reached === undefined || (isFunction && !Object.hasOwn(reached, name))) continue
      const all = Object.values(files).reduce((sum, names) => sum + Object.keys(names).length, 0)
      found.push({ spec, duration, share: Object.keys(reached).length / all })
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

/** What a mutant is called in the store of the specs that caught mutants. */
function keyOf({ file, name, code, change }: Change): string {
  return `${file} ${name}: ${change}: ${code}`
}

/** The specs that run together. The one that caught the mutant in an earlier run is alone, and first. */
function groupsOf<T extends readonly [spec: string, ...unknown[]]>(
  all: readonly T[],
  catcher?: string,
): T[][] {
  const first = all.filter(([spec]) => spec === catcher)
  const others = all.filter(([spec]) => spec !== catcher)
  const groups = first.length > 0 ? [first] : []
  for (let from = 0; from < others.length; from += TOGETHER) groups.push(others.slice(from, from + TOGETHER))
  return groups
}

/** Runs the specs that reach a mutant until one fails twice in a row, or does not let its process answer. */
async function judge(
  copy: Copy,
  specs: Specs,
  reach: Reach,
  mutant: Change,
  catcher: string | undefined,
): Promise<{ readonly outcome: Outcome; readonly by?: string }> {
  const text = copy.texts.get(mutant.file) ?? ''
  await copy.write(mutant.file, text.slice(0, mutant.from) + mutant.text + text.slice(mutant.to))
  try {
    for (const some of groupsOf(reach.of(mutant), catcher)) {
      const durations = some.map(([, duration]) => duration)
      const limit = PATIENCE + 10 * durations.reduce((sum, duration) => sum + duration, 0)
      const testLimit = TEST_PATIENCE + 5 * Math.max(...durations)
      let left = some.map(([spec]) => spec)
      while (left.length > 0) {
        const { ending, spec } = await specs.run({ specs: left, changed: copy.taken(), testLimit }, limit)
        if (ending === 'passed') break
        // The process has died or does not answer.
        if (spec === undefined) return { outcome: 'timeout', by: left.join(', ') }
        const again = await specs.run({ specs: [spec], changed: [], testLimit }, limit)
        if (again.ending !== 'passed')
          return { outcome: again.ending === 'failed' ? 'caught' : 'timeout', by: spec }
        left = left.slice(left.indexOf(spec) + 1)
      }
    }
    return { outcome: 'missed' }
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
  const catchers = await Store.open<string>('catchers')
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
        const start = performance.now()
        const { outcome, by } = await judge(copy, specs, reach, mutant, catchers.get(keyOf(mutant)))
        if (by !== undefined) catchers.set(keyOf(mutant), by)
        await catchers.save()
        const number = tally.caught + tally.timeout + missed.length + 1
        const detail = by === undefined ? ` by ${reach.of(mutant).length} specs` : ` by ${by}`
        console.log(`${number}: ${outcome}${detail}, ${secondsSince(start)}: ${place(mutant)}`)
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
