import { join } from 'node:path'

import ts from 'typescript'
import { describe, expect, test } from 'vitest'

import { filesBelow, read, root } from './documents.js'

/** Names in the page that are not implemented yet. */
const coming = new Set<string>()

/** The texts in back quotes. */
function quoted(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)
}

/** The rows of a page's tables: names, TypeScript, Rust if the page has such a column, and a note. */
function rowsOf(
  file: string,
  hasRust: boolean,
): { names: string[]; script: string; rust: string; note: string }[] {
  return read(file)
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .map(([, names = '', script = '', ...others]) => {
      const [rust = '', note = ''] = hasRust ? others : ['–', ...others]
      return { names: quoted(names), script, rust, note }
    })
}

const pages = [
  { names: '__test__/docs/libevent-names.txt', rows: rowsOf('docs/from-libevent.md', true) },
  { names: '__test__/docs/libevent-buffer-names.txt', rows: rowsOf('docs/from-libevent-buffers.md', false) },
]
const rows = pages.flatMap((page) => page.rows)

test('every public name of libevent has one row', () => {
  for (const page of pages) {
    const wanted = read(page.names)
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
    const found = page.rows.flatMap(({ names }) => names)
    expect(found.toSorted()).toEqual(wanted.toSorted())
  }
})

test('a name without a counterpart has a note', () => {
  const silent = rows.filter(({ script, rust, note }) => script === '–' && rust === '–' && note === '')
  expect(silent.map(({ names }) => names[0])).toEqual([])
})

describe('the counterpart of a name exists', () => {
  const entries = ['dist/index.d.ts', 'dist/net.d.ts'].map((name) => join(root, name))
  const declarations = ts.createProgram(entries, { noLib: true, skipLibCheck: true })
  const checker = declarations.getTypeChecker()
  const files = declarations.getRootFileNames().flatMap((name) => declarations.getSourceFile(name) ?? [])
  const [file] = files
  const exported = new Map(
    files
      .flatMap((entry) => checker.getSymbolAtLocation(entry) ?? [])
      .flatMap((module) => checker.getExportsOfModule(module))
      .map((symbol) => [
        symbol.name,
        symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol,
      ]),
  )
  const instances = new Map([
    ['base', 'EventBase'],
    ['config', 'EventConfig'],
    ['duplex', 'BufferEventDuplex'],
    ['event', 'Event'],
    ['group', 'BufferEventGroup'],
    ['listener', 'Listener'],
    ['queue', 'ByteQueue'],
    ['stream', 'BufferEvent'],
    ['watcher', 'Watcher'],
  ])

  /** Whether an exported class, or an instance of it, or an exported object has a member. */
  function hasMember(owner: string, member: string): boolean {
    const symbol = exported.get(instances.get(owner) ?? owner)
    if (symbol === undefined || file === undefined) return false
    const type = instances.has(owner)
      ? checker.getDeclaredTypeOfSymbol(symbol)
      : checker.getTypeOfSymbolAtLocation(symbol, file)
    return type.getProperty(member) !== undefined
  }

  test('in the declarations of the package', () => {
    expect(exported.size).toBeGreaterThan(10)
    const missing = rows
      .flatMap(({ script }) => quoted(script))
      .map((code) => code.replace(/^new /, '').replace(/\(.*$/, ''))
      .filter((name) => {
        const [owner = '', member] = name.split('.')
        return !(member === undefined ? exported.has(owner) : hasMember(owner, member))
      })
    expect(missing.filter((name) => !coming.has(name))).toEqual([])
  })

  test('in the crates', () => {
    const crates = ['crates/event-base/src', 'crates/event-base-net/src']
    const source = crates.flatMap((folder) => filesBelow(folder, '.rs').map(read)).join('\n')
    const surface = crates
      .flatMap((folder) => [...read(`${folder}/lib.rs`).matchAll(/^pub (?:use [^;]*|mod \w+);/gm)])
      .join('\n')
    const missing = rows
      .flatMap(({ rust }) => quoted(rust))
      .filter((path) => {
        const [owner = '', member] = path.split('::')
        const isExported = new RegExp(`\\b${owner}\\b`).test(surface)
        const isThere =
          member === undefined ||
          new RegExp(`\\b(?:pub (?:const )?fn|pub struct|const) ${member}\\b`).test(source)
        return !(isExported && isThere)
      })
    expect(missing.filter((name) => !coming.has(name))).toEqual([])
  })
})
