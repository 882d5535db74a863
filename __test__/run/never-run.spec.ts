import { describe, expect, test } from 'vitest'

import { runFixture } from '../support/child.js'

/** The lines of the warning of this package. */
function warnings(stderr: string): string[] {
  return stderr.split('\n').filter((line) => line.includes('EventBaseWarning'))
}

const one = /A promise of an event base cannot settle, because no loop has run the base: call base\.run\(\)/

describe('a process that ends while a promise waits for a base that no loop has run', () => {
  test.each(['connect', 'stream', 'wait', 'watch', 'edges'])(
    'warns: a top-level await of %s',
    async (way) => {
      const { code, stderr } = await runFixture('never-run.mjs', way, 'await')
      // The code of Node for a top-level await that does not settle.
      expect(code).toBe(13)
      expect(warnings(stderr)).toEqual([expect.stringMatching(one)])
    },
  )

  test('warns if it ends as usual, once for each base', async () => {
    const { code, stderr } = await runFixture('never-run.mjs', 'both')
    expect(code).toBe(0)
    expect(warnings(stderr)).toEqual([expect.stringContaining('2 promises of an event base cannot settle')])
  })
})

test.each(['running', 'settled', 'closed', 'stopped'])('there is no warning: %s', async (way) => {
  expect(await runFixture('never-run.mjs', way, 'await')).toMatchObject({ code: 0, stderr: '' })
})
