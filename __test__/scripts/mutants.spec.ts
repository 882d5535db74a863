import { describe, expect, it, test } from 'vitest'

import {
  candidates,
  Equivalents,
  inOrder,
  judge,
  score,
  type Mutant,
  type Tally,
} from '../../scripts/lib/mutants.js'
import { sourcesOf } from '../../scripts/lib/mutants-rust.js'
import type { Artifact } from '../../scripts/lib/test-binaries.js'

const mutant = (change: string): Mutant => ({
  file: 'crates/a/src/b.rs',
  line: 3,
  column: 7,
  code: '< 5',
  change,
})

const tally = (counts: Partial<Tally>): Tally => ({
  subject: 'a',
  existing: 20,
  caught: 0,
  timeout: 0,
  unviable: 0,
  equivalent: 0,
  missed: [],
  stale: [],
  broken: [],
  ...counts,
})

describe('the mutants of a sample', () => {
  const all = Array.from({ length: 50 }, (_, index) => index)

  it('are the same for a seed and others for another', () => {
    const order = (seed: number): number[] => inOrder(all, { sample: 5, seed })
    expect(order(1)).toEqual(order(1))
    expect(order(1)).not.toEqual(order(2))
    expect(order(1).toSorted((a, b) => a - b)).toEqual(all)
  })

  it('keep the order of the sources if all are tested', () => {
    expect(inOrder(all, { seed: 1 })).toEqual(all)
  })
})

describe('the score of a subject', () => {
  it('counts what was caught or did not end, and neither unviable nor equivalent mutants', () => {
    expect(score(tally({ caught: 8, timeout: 1, unviable: 5, equivalent: 5, missed: [mutant('x')] }))).toBe(
      90,
    )
    expect(score(tally({ unviable: 3 }))).toBeUndefined()
  })

  it('passes at 90 % and fails below, with the missed mutants', () => {
    const enough = judge(tally({ caught: 9, missed: [mutant('replace < with <= in f')] }))
    expect(enough.totals).toEqual({ passed: 1, failed: 0, skipped: 0 })
    const tooFew = judge(tally({ caught: 8, missed: [mutant('replace < with <= in f')] }))
    expect(tooFew.totals).toEqual({ passed: 0, failed: 1, skipped: 0 })
    expect(tooFew.results[0]?.message).toContain('crates/a/src/b.rs:3:7: replace < with <= in f')
  })

  it('is skipped where no mutant counts', () => {
    expect(judge(tally({})).totals).toEqual({ passed: 0, failed: 0, skipped: 1 })
  })

  it('does not hide entries of the list of equivalent mutants that are out of date', () => {
    expect(judge(tally({ caught: 9, stale: ['an entry'] })).totals).toEqual({
      passed: 1,
      failed: 1,
      skipped: 0,
    })
  })
})

test('a test that fails without a mutant fails its subject', () => {
  const judged = judge(tally({ caught: 9, broken: ['host a.spec.ts: no'] }))
  expect(judged.totals).toEqual({ passed: 1, failed: 1, skipped: 0 })
  expect(judged.results[1]?.message).toContain('host a.spec.ts: no')
})

describe('an equivalent mutant', () => {
  const entry = {
    file: 'crates/a/src/b.rs',
    code: '< 5',
    change: 'replace < with <= in f',
    reason: 'it is never 5',
  }

  it('is found by its file, its change and the code behind it, wherever its line is', () => {
    const list = new Equivalents([entry])
    expect(list.has(mutant(entry.change))).toBe(true)
    expect(list.has({ ...mutant(entry.change), line: 90 })).toBe(true)
    expect(list.has(mutant('replace < with > in f'))).toBe(false)
    expect(list.has({ ...mutant(entry.change), code: '< 6' })).toBe(false)
  })

  it('is out of date if no mutant corresponds to it', () => {
    const list = new Equivalents([entry])
    expect(list.stale('crates/a/', [mutant(entry.change)])).toEqual([])
    expect(list.stale('crates/a/', [])).toEqual(['crates/a/src/b.rs: replace < with <= in f: < 5'])
    expect(list.stale('crates/other/', [])).toEqual([])
  })

  it('is no candidate, and neither is one that the selection does not name', () => {
    const list = new Equivalents([entry])
    const [equivalent, other] = [mutant(entry.change), mutant('replace f with ()')]
    expect(candidates([equivalent, other], list, { only: [] })).toEqual([other])
    expect(candidates([equivalent, other], list, { only: ['b.rs:9', 'b.rs:3:7: replace f'] })).toEqual([
      other,
    ])
    expect(candidates([equivalent, other], list, { only: ['b.rs:9'] })).toEqual([])
  })

  it('needs a reason', () => {
    expect(() => new Equivalents([{ ...entry, reason: '' }])).toThrow('has no reason')
  })
})

const artifact = (name: string, kind: string, isTest: boolean, file: string): Artifact => ({
  reason: 'compiler-artifact',
  manifest_path: '/a/Cargo.toml',
  target: { name, kind: [kind] },
  profile: { test: isTest },
  filenames: [file, file.replace('.rlib', '.rmeta')],
  executable: null,
})

test('the sources of a crate are those of its library, without the modules of its tests', () => {
  const artifacts = [
    artifact('event_base', 'lib', false, '/deps/libevent_base-1.rlib'),
    artifact('event_base_net', 'lib', true, '/deps/event_base_net-2'),
    artifact('event_base_net', 'lib', false, '/deps/libevent_base_net-3.rlib'),
  ]
  expect(sourcesOf(artifacts, 'event-base-net')).toBe('/deps/event_base_net-3.d')
  expect(() => sourcesOf(artifacts, 'event-base-napi')).toThrow('no library of event-base-napi')
})
