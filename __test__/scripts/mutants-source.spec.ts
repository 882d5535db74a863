import { describe, expect, it } from 'vitest'

import { mutantsOfSource, recording } from '../../scripts/lib/mutants-source.js'

/** The texts of the mutants of a source, with their changes. */
function mutate(source: string): Record<string, string> {
  const texts = mutantsOfSource(source).map(({ from, to, text, change }): [string, string] => [
    change,
    source.slice(0, from) + text + source.slice(to),
  ])
  return Object.fromEntries(texts)
}

describe('the mutants of a source', () => {
  it('change operators, conditions, literals, calls and bodies', () => {
    expect(mutate('function f(a) { if (a < 1) g(true) }')).toEqual({
      'replace { if (a < 1) g(true) } with {} in f': 'function f(a) {}',
      'replace a < 1 with true in f': 'function f(a) { if (true) g(true) }',
      'replace a < 1 with false in f': 'function f(a) { if (false) g(true) }',
      'replace < with <= in f': 'function f(a) { if (a <= 1) g(true) }',
      'replace < with >= in f': 'function f(a) { if (a >= 1) g(true) }',
      'delete g(true) in f': 'function f(a) { if (a < 1) ; }',
      'replace true with false in f': 'function f(a) { if (a < 1) g(false) }',
    })
  })

  it('change unary operators, lists, optional chains and compared strings', () => {
    expect(Object.values(mutate("const x = !a ? [b?.c] : d === 'e'"))).toEqual([
      "const x = true ? [b?.c] : d === 'e'",
      "const x = false ? [b?.c] : d === 'e'",
      "const x = !a ? [] : d === 'e'",
      "const x = !a ? [b.c] : d === 'e'",
      "const x = !a ? [b?.c] : d !== 'e'",
      "const x = !a ? [b?.c] : d === ''",
    ])
    expect(Object.values(mutate('i++; --j; const k = -l'))).toEqual([
      '; --j; const k = -l',
      'i--; --j; const k = -l',
      'i++; ; const k = -l',
      'i++; ++j; const k = -l',
      'i++; --j; const k = l',
    ])
  })

  it('leave types, interfaces, and calls of a super class', () => {
    expect(mutate('interface A { b: true; c: 1 | 2 }\ntype D = -1 | false')).toEqual({})
    expect(mutate('class A extends B { constructor() { super() } }')).toEqual({})
  })

  it('are named after the classes and functions around them', () => {
    const source = 'class A { #b = () => { d() }; c() { [1].map((x) => x) } }'
    expect(mutantsOfSource(source).map(({ name }) => name)).toEqual([
      'A.#b',
      'A.#b',
      'A.c',
      'A.c',
      'A.c',
      'A.c.()',
    ])
  })
})

it('a recording calls a function for the file and for each function', () => {
  const source = 'const one = (a) => ({ a }); function two() { return 2 } one(two())'
  const { text, functions } = recording(source, 'file ', '')
  expect([...functions]).toEqual([
    ['one', '(a) => ({ a })'],
    ['two', 'function two() { return 2 }'],
    ['', 'const one = (a) => ; function two()  one(two())'],
  ])
  const seen: string[] = []
  Object.assign(globalThis, { __recordFunction: (name: string) => seen.push(name) })
  // eslint-disable-next-line no-new-func
  new Function(text)()
  Reflect.deleteProperty(globalThis, '__recordFunction')
  expect(seen).toEqual(['file ', 'file two', 'file one'])
})

it('a recording of a program begins with the line that names its interpreter', () => {
  const { text } = recording('#!/usr/bin/env node\none(() => {})', 'file ', "import 'recorder'")
  expect(text.split('\n')).toEqual([
    '#!/usr/bin/env node',
    `import 'recorder';globalThis.__recordFunction?.("file ");`,
    'one(() => {globalThis.__recordFunction?.("file ()");})',
  ])
})
