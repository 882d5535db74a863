import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { expect, test } from 'vitest'

import { documents, filesBelow, read, root } from './documents.js'

/** The anchors of a Markdown file's headings. */
function anchors(file: string): string[] {
  return [...read(file).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  )
}

/** The first cells of table rows, if they are one text in back quotes. */
function firstCells(file: string, shape: RegExp): string[] {
  return [...read(file).matchAll(/^\| `([^`]+)` \|/gm)]
    .map((match) => match[1] ?? '')
    .filter((cell) => shape.test(cell))
}

/** Where the files of the repository are on the web. */
const repository = (JSON.parse(read('package.json')) as { repository: { url: string } }).repository.url
const web = `${repository.replace(/^git\+|\.git$/g, '')}/blob/main/`

/** The targets of the links in a document. */
function targets(file: string): string[] {
  return [...read(file).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
}

test('every link inside the project has a target, also one that leads through the web', () => {
  const broken: string[] = []
  let throughTheWeb = 0
  for (const file of documents()) {
    for (const target of targets(file)) {
      const isAbsolute = target.startsWith(web)
      if (/^https?:/.test(target) && !isAbsolute) continue
      if (isAbsolute) throughTheWeb += 1
      const [path = '', anchor] = (isAbsolute ? target.slice(web.length) : target).split('#')
      const place = path === '' ? file : isAbsolute ? path : join(dirname(file), path)
      const isThere =
        existsSync(join(root, place)) && (anchor === undefined || anchors(place).includes(anchor))
      if (!isThere) broken.push(`${file}: ${target}`)
    }
  }
  expect(broken).toEqual([])
  expect(throughTheWeb).toBeGreaterThan(30)
})

test.each(['README.md', 'CHANGELOG.md'])(
  '%s, which is packed, has relative links to packed files only',
  (file) => {
    const { files } = JSON.parse(read('package.json')) as { files: string[] }
    const packed = ['README.md', 'LICENSE', 'package.json', ...files]
    const relative = targets(file).filter((target) => !/^(?:https?:|#)/.test(target))
    expect(relative.filter((target) => !packed.includes(target.split('#')[0] ?? ''))).toEqual([])
  },
)

test('CONTRIBUTING.md lists every npm script', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const names = Object.keys(scripts).map((name) => (/^(?:start|test)$/.test(name) ? name : `run ${name}`))
  const cells = firstCells('CONTRIBUTING.md', /^npm /)
  expect(cells.toSorted()).toEqual(names.map((name) => `npm ${name}`).toSorted())
})

test('errors.md lists every code', () => {
  const codes = ['ts/errors.ts', 'ts/addon/failure.ts'].flatMap((file) => {
    const union = /ErrorCode =([\s\S]*?)\n\n/.exec(read(file))?.[1] ?? ''
    const found = [...union.matchAll(/'(ERR_\w+)'/g)].map((match) => match[1] ?? '')
    expect(found.length, file).toBeGreaterThan(5)
    return found
  })
  expect(firstCells('docs/guide/errors.md', /^ERR_/).toSorted()).toEqual(codes.toSorted())
})

test('environment.md lists the environment variables that the code reads', () => {
  const crates = ['event-base', 'event-base-net', 'event-base-napi']
  const rust = crates.flatMap((crate) => filesBelow(`crates/${crate}/src`, '.rs'))
  // Comments are removed, because their examples read other variables.
  const lines = [...rust, ...filesBelow('ts', '.ts')].flatMap((file) => read(file).split('\n'))
  const text = lines.filter((line) => !/^\s*(?:\*|\/)/.test(line)).join('\n')
  const found = text.matchAll(/(?:env::var(?:_os)?|is_set)\("(\w+)"\)|process\.env(?:\.(\w+)|\['(\w+)'\])/g)
  const names = new Set([...found].map(([, first, second, third]) => first ?? second ?? third))
  // Names that contain the name of a backend.
  expect(text).toContain('"EVENT_NO"')
  for (const method of ['EPOLL', 'KQUEUE', 'POLL', 'SELECT']) names.add(`EVENT_NO${method}`)
  const rows = [...read('docs/environment.md').matchAll(/^\| (`(?:EVENT|LISTEN|NAPI)_[^|]*)\|/gm)].map(
    (row) => row[1] ?? '',
  )
  const cells = rows.flatMap((row) => [...row.matchAll(/`(\w+)/g)].map((name) => name[1]))
  expect(cells.toSorted()).toEqual([...names].toSorted())
})
