import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { filesBelow, read, root } from './documents.js'

const text = read('ARCHITECTURE.md')

/** The paths in back quotes that begin a line of the part behind `<!-- marker -->`, up to the next heading. */
function listed(marker: string): string[] {
  const part = text.split(`<!-- ${marker} -->`)[1]?.split(/^## /m)[0] ?? ''
  return [...part.matchAll(/^(?:- |\| )`([^`]+)`/gm)].map((match) => match[1] ?? '')
}

const crates = ['event-base', 'event-base-napi', 'event-base-net']
const rust = crates.flatMap((crate) => filesBelow(`crates/${crate}/src`, '.rs'))

test('the file map names every source file, and each once', () => {
  const builds = crates.map((crate) => `crates/${crate}/build.rs`)
  const sources = [
    'index.ts',
    'net.ts',
    ...filesBelow('ts', '.ts'),
    ...rust,
    ...builds.filter((file) => existsSync(join(root, file))),
    ...filesBelow('scripts', ''),
  ]
  const files = listed('map').filter((path) => !path.endsWith('/'))
  expect(files.toSorted()).toEqual(sources.toSorted())
})

test('what the file map names exists', () => {
  const paths = listed('map')
  expect(paths.length).toBeGreaterThan(50)
  expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([])
})

test('exactly the listed files may hold unsafe code', () => {
  const found = rust.filter((file) => /expect\(\s*unsafe_code/.test(read(file)))
  expect(found.length).toBeGreaterThan(0)
  expect(listed('unsafe').toSorted()).toEqual(found.toSorted())
  // The lint can be turned off in other words, which the list would not see.
  expect(rust.filter((file) => /(?:allow|warn)\([^)]*unsafe_code/.test(read(file)))).toEqual([])
})

test('the pass is described in the order in which it runs', () => {
  const part = text.split('<!-- turn_locked -->')[1]?.split('\n\nThen')[0] ?? ''
  const described = [...part.matchAll(/^\d+\. `(\w+)`/gm)].map((match) => match[1] ?? '')
  expect(described).toHaveLength(11)
  const source = read('crates/event-base/src/base/run.rs')
  const body = /fn turn_locked[\s\S]*?\n {4}}\n/.exec(source)?.[0] ?? ''
  const places = described.map((name) => body.search(new RegExp(`\\b${name}\\b`)))
  expect(places).not.toContain(-1)
  expect(places).toEqual(places.toSorted((a, b) => a - b))
  // Whatever else the pass calls on the base has to be described as well.
  const called = [...body.matchAll(/\b(?:inner|self)\.(\w+)\(/g)].map((match) => match[1] ?? '')
  expect(called.filter((name) => !part.includes(`\`${name}\``))).toEqual([])
})
