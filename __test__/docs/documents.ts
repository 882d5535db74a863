/** The documents of the project and their code blocks. */

import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's root folder. */
export const root: string = fileURLToPath(new URL('../..', import.meta.url))

/** A fenced block of a document. */
export interface Block {
  /** Its file, relative to the root. */
  readonly file: string
  /** The line of its opening fence, from 1. */
  readonly line: number
  /** The text after the fence: the language and further words. */
  readonly info: string
  readonly code: string
  /** Whether only blank lines are between the previous block and this one. */
  readonly follows: boolean
}

/** Every file below `folder` with an ending, relative to the root, sorted. */
export function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort()
}

/** A file's text. */
export function read(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

/** Every Markdown file that is not generated. */
export function documents(): string[] {
  const atTop = readdirSync(root).filter((name) => name.endsWith('.md'))
  const crates = readdirSync(join(root, 'crates'))
    .map((crate) => `crates/${crate}/README.md`)
    .filter((file) => readdirSync(join(root, file, '..')).includes('README.md'))
  return [...atTop, ...crates, ...filesBelow('docs', '.md')].sort()
}

/** The fenced blocks of some lines; `first` is the number of the first one. */
export function blocksOf(file: string, lines: readonly string[], first = 1): Block[] {
  const blocks: Block[] = []
  let open: { info: string; line: number; code: string[]; follows: boolean } | undefined
  let isBlankSinceBlock = false
  lines.forEach((text, index) => {
    const fence = /^\s*```(.*)$/.exec(text)
    if (open === undefined && fence !== null) {
      open = { info: fence[1]?.trim() ?? '', line: first + index, code: [], follows: isBlankSinceBlock }
    } else if (open !== undefined && fence !== null) {
      const { code, ...rest } = open
      blocks.push({ file, ...rest, code: code.map((line) => `${line}\n`).join('') })
      open = undefined
      isBlankSinceBlock = true
    } else if (open !== undefined) {
      open.code.push(text)
    } else if (text.trim() !== '') {
      isBlankSinceBlock = false
    }
  })
  if (open !== undefined) throw new Error(`${file}:${open.line}: the block is not closed`)
  return blocks
}

/** The blocks of a Markdown file. */
export function markdownBlocks(file: string): Block[] {
  return blocksOf(file, read(file).split('\n'))
}

/** The blocks in the documentation comments of a TypeScript file. */
export function commentBlocks(file: string): Block[] {
  const text = read(file)
  return [...text.matchAll(/\/\*\*[\s\S]*?\*\//g)].flatMap((comment) => {
    const first = text.slice(0, comment.index).split('\n').length
    const lines = comment[0].split('\n').map((line) => line.replace(/^\s*\* ?/, ''))
    return blocksOf(file, lines, first)
  })
}
