// A copy of the repository in which mutants are built, so that the working tree and its build output stay as they are.
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { demand, root } from './run.js'

/** Writes a file unless it has that content already: cargo builds what is newer than its output. */
async function update(path: string, content: Buffer): Promise<void> {
  const old = await readFile(path).catch(() => undefined)
  if (old !== undefined && old.equals(content)) return
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, content)
}

/** The files below a folder, relative to it. */
async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
}

/** The name of the test binary that contains several files of `tests/`. */
export const TOGETHER = 'together'

/** What a file of `tests/` must not contain to be a module: paths of a crate root, an allocator, or runs of its own tests. */
const ROOT_ONLY = /\bcrate::|global_allocator|allocations::|current_exe/

/**
 * Makes one test binary out of the files of a crate's `tests/` folder that can be modules, because linking is most of a
 * build. Returns the names of the test binaries.
 */
async function joinTests(crate: string): Promise<string[]> {
  const folder = join(crate, 'tests')
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const alone: string[] = []
  const modules: string[] = []
  for (const entry of entries) {
    const name = entry.name.replace(/\.rs$/, '')
    if (name === TOGETHER || name === 'support') continue
    const files = entry.isFile()
      ? [entry.name]
      : (await filesBelow(join(folder, name))).map((file) => join(name, file))
    const main = entry.isFile() ? entry.name : join(name, 'main.rs')
    if (!files.includes(main)) continue
    const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')))
    if (texts.some((text) => ROOT_ONLY.test(text))) alone.push(name)
    else modules.push(`#[path = "${main}"]\nmod ${name};\n`)
  }
  if (modules.length === 0) return alone
  await update(join(folder, `${TOGETHER}.rs`), Buffer.from(modules.sort().join('')))
  return [...alone, TOGETHER]
}

/** A copy of the files that git knows or would add. */
export class Tree {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** Brings the copy up to date. */
  static async at(folder: string): Promise<Tree> {
    const listed = await demand('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'])
    const files = new Set(listed.split('\0').filter((file) => file !== ''))
    await mkdir(folder, { recursive: true })
    for (const file of await filesBelow(folder)) {
      if (!files.has(file) && !file.endsWith(`${TOGETHER}.rs`)) await rm(join(folder, file))
    }
    for (const file of files) {
      const content = await readFile(join(root, file)).catch(() => undefined)
      if (content !== undefined) await update(join(folder, file), content)
    }
    return new Tree(folder)
  }

  /** The texts of files. */
  async read(files: Iterable<string>): Promise<Map<string, string>> {
    const read = async (file: string): Promise<[string, string]> => [
      file,
      await readFile(join(this.folder, file), 'utf8'),
    ]
    return new Map(await Promise.all([...files].map(read)))
  }

  /** The arguments of cargo that select the unit tests of a crate and its joined test binaries. */
  async testsOf(crate: string): Promise<string[]> {
    const names = await joinTests(join(this.folder, 'crates', crate))
    return ['--lib', ...names.map((name) => `--test=${name}`)]
  }

  /** Runs `body` while a file has another text. */
  async with<T>(file: string, change: (text: string) => string, body: () => Promise<T>): Promise<T> {
    const path = join(this.folder, file)
    const text = await readFile(path, 'utf8')
    await writeFile(path, change(text))
    try {
      return await body()
    } finally {
      await writeFile(path, text)
    }
  }
}
