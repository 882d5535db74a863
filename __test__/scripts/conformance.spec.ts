import { readFile } from 'node:fs/promises'

import { describe, expect, it } from 'vitest'

import { conformanceTable, withTable } from '../../scripts/lib/backends-table.js'
import {
  judge,
  parseRows,
  unknownRows,
  type CombinationReport,
  type Row,
} from '../../scripts/lib/conformance.js'
import { combinations, modes, whyNot, type Combination } from '../../scripts/lib/matrix.js'
import type { TestResult } from '../../scripts/lib/results.js'
import { parseReport } from '../../scripts/lib/test-binaries.js'

const now: Row = { id: 'C-024', test: 'simpleread', scope: 'now' }
const later: Row = { id: 'C-063', test: 'fork', scope: 'later', reason: 'not built yet' }
const never: Row = { id: 'C-054', test: 'struct_event_size', scope: 'n/a', reason: 'no struct to measure' }

function ended(outcome: TestResult['outcome'], name: string): TestResult {
  return { name, outcome }
}

describe('a row of the conformance table', () => {
  it('passes if every test of the row passed', () => {
    const results = [ended('passed', 'timers::c_024_simpleread'), ended('passed', 'poll > C-024 simpleread')]
    expect(judge(now, [], results)).toMatchObject({ word: 'pass', counts: 'passed' })
  })

  it('fails if one of several tests failed, and names that test', () => {
    const results = [ended('passed', 'epoll C-024'), ended('failed', 'poll C-024')]
    expect(judge(now, [], results)).toMatchObject({ counts: 'failed', detail: 'specs: poll C-024' })
  })

  it('fails without a test, or with skipped tests only', () => {
    expect(judge(now, [], [ended('passed', 'C-025 simpleread_multiple')]).counts).toBe('failed')
    expect(judge(now, [], [ended('skipped', 'C-024 simpleread')]).counts).toBe('failed')
  })

  it('ignores ids inside a longer number or word', () => {
    expect(judge(now, [], [ended('passed', 'c_0240_other'), ended('passed', 'sync_c_024')]).counts).toBe(
      'passed',
    )
    expect(judge(now, [], [ended('passed', 'c_0240_other'), ended('passed', 'topic_024')]).counts).toBe(
      'failed',
    )
  })

  it('with scope "later" may have no test, but no failing one', () => {
    expect(judge(later, [], [])).toMatchObject({ word: 'later', counts: 'skipped', detail: 'not built yet' })
    expect(judge(later, [], [ended('failed', 'c_063_fork')]).counts).toBe('failed')
    expect(judge(later, [], [ended('passed', 'c_063_fork')]).detail).toContain('can be marked now')
  })

  it('with scope "n/a" must not have a test', () => {
    expect(judge(never, [], [])).toMatchObject({ word: 'n/a', counts: 'skipped' })
    expect(judge(never, [], [ended('passed', 'C-054 size')]).counts).toBe('failed')
  })
})

const epoll = { name: 'epoll', features: ['ET', 'EARLY_CLOSE', 'O1'] }
const select = { name: 'select', features: ['FDS'] }
const edge: Row = { id: 'C-079', test: 'et', scope: 'now', needs: ['ET'] }
const name = 'edge::c_079_et'

function find(backend: string, mode: string): Combination {
  const found = combinations([epoll, select]).find(
    (each) => each.backend.name === backend && each.mode.name === mode,
  )
  if (found === undefined) throw new Error('no such combination')
  return found
}

function report(backend: string, outcome?: TestResult['outcome'], reason?: string): CombinationReport {
  const results = outcome === undefined ? [] : [ended(outcome, name)]
  const notApplicable = new Map(reason === undefined ? [] : [[name, reason]])
  return { combination: find(backend, 'shared'), results, notApplicable }
}

describe('a row over backends and modes', () => {
  it('passes if each combination passes or lacks what the row needs', () => {
    const verdict = judge(edge, [report('epoll', 'passed'), report('select', 'passed', 'no ET')], [])
    expect(verdict).toMatchObject({ word: 'pass', counts: 'passed' })
    expect(verdict.cells).toEqual([{ word: 'pass' }, { word: 'n/a', detail: 'select has no ET' }])
  })

  it('fails if one combination fails, and names it', () => {
    const verdict = judge(edge, [report('epoll', 'failed'), report('select', 'passed', 'no ET')], [])
    expect(verdict).toMatchObject({ counts: 'failed', detail: `epoll, shared: ${name}` })
  })

  it('fails if a test reports not to be applicable and the row has no such need', () => {
    const verdict = judge({ ...edge, needs: [] }, [report('epoll', 'passed', 'no mood')], [])
    expect(verdict.detail).toContain('a test reports "no mood"')
  })

  it('fails if the row is not applicable and its test passes', () => {
    const verdict = judge(edge, [report('select', 'passed')], [])
    expect(verdict.detail).toContain('passed, but select has no ET')
  })

  it('fails if a combination has no test', () => {
    expect(judge({ ...edge, needs: [] }, [report('epoll', 'passed'), report('select')], []).word).toBe('fail')
  })

  it('fails for a failing spec, whatever the outcome of the combinations', () => {
    expect(judge(edge, [report('epoll', 'passed')], [ended('failed', 'C-079 et')]).detail).toMatch(/^specs/)
  })

  it('is skipped if no combination meets its needs', () => {
    const row: Row = { id: 'C-115', test: 'kq-collision', scope: 'now', needs: ['kqueue'] }
    expect(judge(row, [report('epoll')], [])).toMatchObject({ word: 'n/a', counts: 'skipped' })
  })
})

describe('combinations of backends and modes', () => {
  it('include the list of changes on epoll only', () => {
    const lists = combinations([epoll, select]).filter(({ mode }) => mode.name === 'changelist')
    expect(lists.map(({ backend }) => backend.name)).toEqual(['epoll'])
  })

  it('have unique names of modes', () => {
    const names = modes.map((mode) => mode.name)
    expect(new Set(names).size).toBe(names.length)
  })

  it('with signalfd do not apply to rows that need a signal handler', () => {
    expect(whyNot(['handler'], find('epoll', 'signalfd'))).toContain('one base only')
    expect(whyNot(['handler'], find('epoll', 'shared'))).toBeUndefined()
  })

  it('without locks do not apply to rows with threads, nor to rows of another backend', () => {
    expect(whyNot(['threads'], find('epoll', 'plain'))).toContain('one thread')
    expect(whyNot(['threads'], find('epoll', 'shared'))).toBeUndefined()
    expect(whyNot(['select'], find('epoll', 'shared'))).toBe('is about select')
    expect(whyNot(['select'], find('select', 'shared'))).toBeUndefined()
  })

  it('are reported by tests that are not applicable in them', () => {
    expect([...parseReport('n/a\ta::c_001_b\tno ET\nn/a\tc\td e\n')]).toEqual([
      ['a::c_001_b', 'no ET'],
      ['c', 'd e'],
    ])
  })
})

describe('the table of backends', () => {
  const rows = [
    { ...edge, verdict: judge(edge, [report('epoll', 'passed'), report('select', 'passed', 'no')], []) },
  ]
  const table = conformanceTable([find('epoll', 'shared'), find('select', 'shared')], rows)

  it('counts outcomes for each combination and lists rows that are not applicable', () => {
    expect(table).toContain('| epoll | shared | with locks | 1 | 0 | 0 |')
    expect(table).toContain('| select | shared | with locks | 0 | 1 | 0 |')
    expect(table).toContain('| C-079 | et | select has no ET |')
  })

  it('replaces the text between its markers only', () => {
    const text = 'before\n<!-- conformance matrix -->\nold\n<!-- end of the conformance matrix -->\nafter\n'
    expect(withTable(text, 'new')).toBe(
      'before\n<!-- conformance matrix -->\n\nnew\n\n<!-- end of the conformance matrix -->\nafter\n',
    )
    expect(() => withTable('text', 'new')).toThrow('no markers')
  })
})

describe('the rows file', () => {
  it('has all 116 rows, in order', async () => {
    const rows = parseRows(await readFile('docs/conformance.json', 'utf8'))
    const ids = Array.from({ length: 116 }, (_, index) => `C-${String(index + 1).padStart(3, '0')}`)
    expect(rows.map(({ id }) => id)).toEqual(ids)
  })

  it('is refused with a repeated id, an unknown scope or a missing reason', () => {
    expect(() => parseRows(JSON.stringify([now, now]))).toThrow('row C-024 is repeated')
    expect(() => parseRows(JSON.stringify([{ ...now, scope: 'soon' }]))).toThrow('unknown scope soon')
    expect(() => parseRows(JSON.stringify([{ ...later, reason: '' }]))).toThrow('without a reason')
    expect(() => parseRows(JSON.stringify([{ ...now, id: 'C-24' }]))).toThrow('malformed row id C-24')
    expect(() => parseRows(JSON.stringify([{ ...now, needs: ['luck'] }]))).toThrow('unknown need luck')
  })

  it('does not have the row in the name of a test', () => {
    expect(unknownRows([now], [ended('passed', 'C-024'), ended('passed', 'c_900_typo')])).toEqual(['C-900'])
  })
})
