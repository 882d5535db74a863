import { describe, expect, it } from 'vitest'

import { runFixture } from '../support/child.js'

describe('an exception of a callback under run()', () => {
  it.each(['error', 'string', 'undefined'])(
    'is passed to uncaughtException unchanged, and the run continues: %s',
    async (what) => {
      const { code, stdout, stderr } = await runFixture('uncaught.mjs', what, 'handled')
      expect(stderr).toBe('')
      expect(code).toBe(0)
      const { result, order } = JSON.parse(stdout) as { result: number; order: string[] }
      expect(result).toBe(1)
      expect(order.slice(0, 3)).toEqual(['first', 'handled', 'second'])
      expect(order.slice(3)).toEqual(['again', 'handled', 'again', 'handled', 'again', 'handled'])
    },
  )

  it('ends the process without a handler, with the message and code 1', async () => {
    const { code, signal, stdout, stderr } = await runFixture('uncaught.mjs', 'error')
    expect({ code, signal, stdout }).toEqual({ code: 1, signal: null, stdout: '' })
    expect(stderr).toContain('Error: thrown by a callback')
    expect(stderr).toContain('uncaught.mjs')
  })

  it('ends the process without a handler, for a string too', async () => {
    const { code, stderr } = await runFixture('uncaught.mjs', 'string')
    expect(code).toBe(1)
    expect(stderr).toContain('just a string')
  })
})
