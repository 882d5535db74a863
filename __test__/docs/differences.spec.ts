import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { filesBelow, read, root } from './documents.js'

const FILE = 'docs/differences.md'

/** The files of Rust tests, and the sources with unit tests. */
const sources = ['event-base', 'event-base-net'].flatMap((crate) =>
  ['tests', 'src'].flatMap((folder) => filesBelow(`crates/${crate}/${folder}`, '.rs')),
)

/** Whether a test or a file of tests has the name: `rules::deadlines`, `rules::deadlines::a_test`, `a_test`. */
function exists(path: string): boolean {
  // Unit tests are in a module of their file.
  const parts = path.replace('::tests::', '::').split('::')
  const name = parts.at(-1) ?? ''
  const file = parts.length > 1 ? parts.at(-2) : undefined
  if (sources.some((source) => source.endsWith(`/${parts.join('/')}.rs`))) return true
  return sources
    .filter((source) => file === undefined || source.endsWith(`/${file}.rs`) || source.includes(`/${file}/`))
    .some((source) => new RegExp(`\\bfn ${name}\\(`).test(read(source)))
}

const rows = read(FILE)
  .split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| (?:libevent|weakness)? ?\|/.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim()))

test('every named test exists', () => {
  const named = rows.flatMap((cells) =>
    [...(cells.at(-2) ?? '').matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
  )
  const tests = named.filter((name) => /^[a-z0-9_:]*_[a-z0-9_:]*$/.test(name))
  expect(tests.length).toBeGreaterThan(60)
  expect(tests.filter((name) => !exists(name))).toEqual([])
  const files = named.filter((name) => name.endsWith('.ts'))
  expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([])
  // A spec may be named with the title of one of its tests: `a.spec.ts` (`a title`).
  const titles = [...read(FILE).matchAll(/`(__test__[^`]+)` \(`([^`]+)`\)/g)]
  expect(titles.length).toBeGreaterThan(10)
  const missing = titles.filter(([, file = '', title = '']) => !read(file).includes(`('${title}',`))
  expect(missing.map(([text]) => text)).toEqual([])
})

test('every known weakness has a verdict, and every fixed one a test', () => {
  const verdicts = new Map(
    rows.filter(([, id = '']) => /^[WP]\d+$/.test(id)).map(([, id = '', ...cells]) => [id, cells]),
  )
  const ids = [...Array(28).keys()].map((index) => `W${index + 1}`)
  ids.push(...[...Array(21).keys()].map((index) => `P${index + 1}`))
  expect([...verdicts.keys()]).toEqual(ids)
  for (const [id, [weakness = '', verdict = '', here = '', tests = '']] of verdicts) {
    expect(['fixed', 'matched', 'not applicable', 'not built'], id).toContain(verdict)
    expect(weakness.length, id).toBeGreaterThan(20)
    expect(here.length, id).toBeGreaterThan(10)
    if (verdict === 'fixed') expect(tests, id).toContain('`')
  }
})
