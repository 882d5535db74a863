import { readFile } from 'node:fs/promises'

import { describe, expect, it } from 'vitest'

import { judge, parseRows, unknownRows, type Row } from '../../scripts/lib/conformance.js'
import type { TestResult } from '../../scripts/lib/results.js'

const now: Row = { id: 'C-024', test: 'simpleread', scope: 'now' }
const later: Row = { id: 'C-063', test: 'fork', scope: 'later', reason: 'not built yet' }
const never: Row = { id: 'C-054', test: 'struct_event_size', scope: 'n/a', reason: 'no struct to measure' }

function ended(outcome: TestResult['outcome'], name: string): TestResult {
  return { name, outcome }
}

describe('a row of the conformance table', () => {
  it('passes when a Rust test and a spec that carry its id passed', () => {
    const results = [ended('passed', 'timers::c_024_simpleread'), ended('passed', 'poll > C-024 simpleread')]
    expect(judge(now, results)).toMatchObject({ word: 'pass', counts: 'passed', detail: '2 tests' })
  })

  it('fails when one of several tests failed, and names it', () => {
    const results = [ended('passed', 'epoll C-024'), ended('failed', 'poll C-024')]
    expect(judge(now, results)).toMatchObject({ counts: 'failed', detail: 'poll C-024' })
  })

  it('fails when no test carries its id, or only skipped ones do', () => {
    expect(judge(now, [ended('passed', 'C-025 simpleread_multiple')]).counts).toBe('failed')
    expect(judge(now, [ended('skipped', 'C-024 simpleread')]).counts).toBe('failed')
  })

  it('does not take a longer number or word for its id', () => {
    expect(judge(now, [ended('passed', 'c_0240_other'), ended('passed', 'sync_c_024')]).counts).toBe('passed')
    expect(judge(now, [ended('passed', 'c_0240_other'), ended('passed', 'topic_024')]).counts).toBe('failed')
  })

  it('may lack a test when it is for later, but not have a failing one', () => {
    expect(judge(later, [])).toMatchObject({ word: 'later', counts: 'skipped', detail: 'not built yet' })
    expect(judge(later, [ended('failed', 'c_063_fork')]).counts).toBe('failed')
    expect(judge(later, [ended('passed', 'c_063_fork')]).detail).toContain('can be marked now')
  })

  it('cannot have a test when it is not applicable', () => {
    expect(judge(never, [])).toMatchObject({ word: 'n/a', counts: 'skipped' })
    expect(judge(never, [ended('passed', 'C-054 size')]).counts).toBe('failed')
  })
})

describe('the rows file', () => {
  it('holds every one of the 116 rows, in order', async () => {
    const rows = parseRows(await readFile('docs/conformance.json', 'utf8'))
    const ids = Array.from({ length: 116 }, (_, index) => `C-${String(index + 1).padStart(3, '0')}`)
    expect(rows.map(({ id }) => id)).toEqual(ids)
  })

  it('is refused with a repeated id, an unknown scope or a missing reason', () => {
    expect(() => parseRows(JSON.stringify([now, now]))).toThrow('row C-024 stands twice')
    expect(() => parseRows(JSON.stringify([{ ...now, scope: 'soon' }]))).toThrow('unknown scope soon')
    expect(() => parseRows(JSON.stringify([{ ...later, reason: '' }]))).toThrow('without a reason')
    expect(() => parseRows(JSON.stringify([{ ...now, id: 'C-24' }]))).toThrow('malformed row id C-24')
  })

  it('misses a row that a test carries', () => {
    expect(unknownRows([now], [ended('passed', 'C-024'), ended('passed', 'c_900_typo')])).toEqual(['C-900'])
  })
})
