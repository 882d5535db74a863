import { statSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { expect, test } from 'vitest'

import { filesBelow, read, root } from './documents.js'

const text = read('ARCHITECTURE.md')

/** The paths in back quotes that begin a line of the part after `<!-- marker -->`, up to the next heading. */
function listed(marker: string): string[] {
  const part = text.split(`<!-- ${marker} -->`)[1]?.split(/^## /m)[0] ?? ''
  return [...part.matchAll(/^(?:- |\| )`([^`]+)`/gm)].map((match) => match[1] ?? '')
}

/** Whether a path names a folder. */
function isFolder(path: string): boolean {
  return statSync(join(root, path), { throwIfNoEntry: false })?.isDirectory() === true
}

const crates = ['event-base', 'event-base-napi', 'event-base-net']
const rust = crates.flatMap((crate) => filesBelow(`crates/${crate}/src`, '.rs'))

test('the folder map lists every folder with sources, and each once', () => {
  const sources = [
    ...['ts', 'scripts', 'bench', 'examples', 'docs'].flatMap((folder) => filesBelow(folder, '')),
    ...filesBelow('crates', '.rs').filter((file) => !/\/tests\/|\/build\.rs$/.test(file)),
  ].filter((file) => /\.(?:ts|mjs|rs|md)$/.test(file) && !/^bench\/(?:build|results)\//.test(file))
  const folders = new Set(sources.map((file) => dirname(file)))
  const found = listed('map')
  expect(found.toSorted()).toEqual([...new Set(found)].toSorted())
  expect([...folders].filter((folder) => !found.includes(folder))).toEqual([])
})

test('every folder of the map exists', () => {
  const folders = listed('map')
  expect(folders.length).toBeGreaterThan(20)
  expect(folders.filter((folder) => !isFolder(folder))).toEqual([])
})

test('every named source exists', () => {
  const folders = ['ts', 'scripts', 'examples', 'bench', 'docs', 'crates', '__test__']
  const files = folders.flatMap((folder) => filesBelow(folder, ''))
  const named = [...text.matchAll(/`([\w./-]+\.(?:rs|ts|mjs|json))`/g)].map(([, name = '']) => name)
  expect(named.length).toBeGreaterThan(30)
  const exists = (name: string): boolean =>
    statSync(join(root, name), { throwIfNoEntry: false }) !== undefined ||
    files.some((file) => file.endsWith(`/${name}`))
  expect(named.filter((name) => !exists(name))).toEqual([])
})

/**
 * The modules of a crate and their dependencies against `lines`: each of them names modules, which use modules of lower
 * lines only, and of their own one if `sameLine`.
 */
function checkLines(crate: string, lines: string[][], sameLine: boolean): void {
  const ranks = new Map(lines.flatMap((names, rank) => names.map((name) => [name, rank] as const)))
  const folder = `crates/${crate}/src`
  const upward: string[] = []
  const modules = new Set<string>()
  for (const file of filesBelow(folder, '.rs')) {
    const module = file.slice(folder.length + 1).split(/[/.]/)[0] ?? ''
    if (module === 'lib') continue
    modules.add(module)
    const rank = ranks.get(module) ?? 0
    const code = (read(file).split('#[cfg(test)]\nmod ')[0] ?? '').replaceAll(/^\s*\/\/.*$/gm, '')
    for (const [, used = ''] of code.matchAll(/\bcrate::(\w+)/g)) {
      const below = ranks.get(used) ?? -1
      const isAllowed = used === module || below > rank || (sameLine && below === rank)
      if (!isAllowed) upward.push(`${file} uses ${used}`)
    }
  }
  expect([...ranks.keys()].toSorted()).toEqual([...modules].toSorted())
  expect(upward).toEqual([])
}

test('a module of the engine uses modules of its own line and below', () => {
  const part = text.split('<!-- modules -->')[1]?.split('\n\n')[1] ?? ''
  const lines = part
    .split('\n')
    .map((line) => [...(line.split(':')[0] ?? '').matchAll(/`(\w+)`/g)].map(([, name = '']) => name))
  checkLines('event-base', lines, true)
})

test('a module of the wire uses modules of lower lines', () => {
  const drawing = /```text\n([^`]*)/.exec(read('crates/event-base-napi/src/lib.rs'))?.[1] ?? ''
  const lines = drawing.split('\n').map((line) => line.match(/\w+/g) ?? [])
  expect(lines.length).toBeGreaterThan(3)
  checkLines('event-base-napi', lines, false)
})

test('exactly the listed files may hold unsafe code', () => {
  const found = rust.filter((file) => /expect\(\s*unsafe_code/.test(read(file)))
  expect(found.length).toBeGreaterThan(0)
  expect(listed('unsafe').toSorted()).toEqual(found.toSorted())
  // The lint can be turned off in other words, which the list would not see.
  expect(rust.filter((file) => /(?:allow|warn)\([^)]*unsafe_code/.test(read(file)))).toEqual([])
})

test('CONTRIBUTING.md states what checks each file with unsafe code', () => {
  const part = read('CONTRIBUTING.md').split('### Unsafe code')[1]?.split(/^#/m)[0] ?? ''
  const rows = part.split('\n').filter((line) => line.startsWith('| `'))
  const named = rows.flatMap((row) =>
    [...(row.split(' | ')[0] ?? '').matchAll(/`([^`]+)`/g)].map(([, name]) => `crates/${name}`),
  )
  expect(named.toSorted()).toEqual(listed('unsafe').toSorted())
})

test('the pass is described in the order in which it runs', () => {
  const part = text.split('<!-- advance -->')[1]?.split('\n\nThen')[0] ?? ''
  const described = [...part.matchAll(/^\d+\. `(\w+)`/gm)].map((match) => match[1] ?? '')
  expect(described).toHaveLength(11)
  const source = read('crates/event-base/src/base/run/mod.rs')
  const body = /fn advance[\s\S]*?\n {4}}\n/.exec(source)?.[0] ?? ''
  const places = described.map((name) => body.search(new RegExp(`\\b${name}\\b`)))
  expect(places).not.toContain(-1)
  expect(places).toEqual(places.toSorted((a, b) => a - b))
  // Whatever else the pass calls on the base has to be described as well.
  const called = [...body.matchAll(/\b(?:inner|self)\.(\w+)\(/g)].map((match) => match[1] ?? '')
  expect(called.filter((name) => !part.includes(`\`${name}\``))).toEqual([])
})
