// The mutants of `ts/`. They are put into a copy of the repository, in which the specs run that reach the changed
// function: those that call it in their own process, in a worker, or in a process that they start, which uses `dist`.
import { dirname, join } from 'node:path'

import ts from 'typescript'

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
import { Copy } from './mutants-copy.js'
import { Reach, secondsSince, TOGETHER } from './mutants-reach.js'
import { mutantsOfSource, type SourceMutant } from './mutants-source.js'
import { Specs } from './mutants-specs.js'
import { Store } from './mutants-store.js'
import { demand, root } from './run.js'

/**
 * Milliseconds that a test may take with a mutant, in addition to five times what its spec takes without one. Tests that
 * wait long for a condition are ended earlier.
 */
const TEST_PATIENCE = 20_000

/** Milliseconds that a spec may take in addition to ten times what it takes without a mutant. */
const PATIENCE = 60_000

interface Change extends Mutant, SourceMutant {}

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
