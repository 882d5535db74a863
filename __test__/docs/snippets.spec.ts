import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { documents, markdownBlocks } from './documents.js'
import { snippets, Workshop } from './snippets.js'

const all = snippets()
const workshop = new Workshop()
let problems: string[] = []

beforeAll(() => {
  problems = workshop.compile(all)
})

afterAll(() => workshop.close())

test('there are examples', () => {
  expect(all.length).toBeGreaterThan(20)
})

test('every example passes the compiler', () => {
  expect(problems).toEqual([])
})

test('every block has a known language, and every output follows an example', () => {
  for (const file of documents()) {
    const blocks = markdownBlocks(file)
    for (const [index, { line, info, follows }] of blocks.entries()) {
      expect(info, `${file}:${line}`).toMatch(/^(?:ts(?: server)?|sh|text(?: output)?|rust|c)$/)
      if (info !== 'text output') continue
      expect(follows && blocks[index - 1]?.info, `${file}:${line} follows an example`).toBe('ts')
    }
  }
})

describe('an example runs', () => {
  const ending = all.filter(({ isServer }) => !isServer)
  test.each(ending.map((snippet) => ({ ...snippet, place: `${snippet.file}:${snippet.line}` })))(
    '$place',
    async (snippet) => {
      const { code, signal, stdout, stderr } = await workshop.run(snippet)
      expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' })
      if (snippet.output !== undefined) expect(stdout).toBe(snippet.output)
    },
  )
})

describe('an example serves', () => {
  const serving = all.filter(({ isServer }) => isServer)
  test.each(serving.map((snippet) => ({ ...snippet, place: `${snippet.file}:${snippet.line}` })))(
    '$place',
    async (snippet) => {
      const { echo, code, stderr } = await workshop.serve(snippet)
      expect({ echo, code, stderr }).toEqual({ echo: 'some bytes\n', code: 0, stderr: '' })
    },
  )
})

test('the compiler reports a wrong example with its place', () => {
  const [snippet] = all
  if (snippet === undefined) throw new Error('there is no example')
  const wrong = { ...snippet, name: 'wrong', code: "import { EV } from 'event-base'\nEV.READ = 7\n" }
  const found = workshop.compile([wrong])
  expect(found).toHaveLength(1)
  expect(found[0]).toContain(`${snippet.file}:${snippet.line + 2}: Cannot assign to 'READ'`)
})
