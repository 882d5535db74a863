// Which specs reach which functions of `ts/`: recorded once, and again for what has changed.
import { createHash } from 'node:crypto'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Mutant } from './mutants.js'
import type { Copy } from './mutants-copy.js'
import { recording, type SourceMutant } from './mutants-source.js'
import type { Specs } from './mutants-specs.js'
import { MUTANTS, Store } from './mutants-store.js'

/** Milliseconds that several specs may take without a mutant. Only specs that hang take them. */
const REHEARSAL = 1_200_000

/** The number of specs that run in one process. */
export const TOGETHER = 8

/** Most specs that run for a change outside of functions, which every spec reaches that loads the file. */
const MOST_SPECS = 30

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

/** Records the functions that run, in every process that loads them. */
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

export function secondsSince(start: number): string {
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

/** Which specs reach which function. */
export class Reach {
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
      const folder = join(MUTANTS, 'reached')
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
  of({ file, name }: Pick<Mutant & SourceMutant, 'file' | 'name'>): [spec: string, duration: number][] {
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
