// The copy of the repository in which the mutants of `ts/` are tested.
import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import ts from 'typescript'

import { SETTINGS } from './mutants-specs.js'
import { MUTANTS } from './mutants-store.js'
import { Tree } from './mutants-tree.js'
import { binaryName, readManifest, thisPlatform } from './platforms.js'
import { root } from './run.js'

/** The specs that test other things than the behaviour of `ts/`. */
const ELSEWHERE = [
  '__test__/{docs,examples,scripts,types}/**',
  '__test__/package/{bundlers,exports,version,workflows}.spec.ts',
]

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

/** The copy of the repository, with the sources of `ts/` in it and in `dist`. */
export class Copy {
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
    const tree = await Tree.at(join(MUTANTS, 'tree-ts'))
    const manifest = await readManifest()
    const addon = binaryName(manifest, thisPlatform(manifest))
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
