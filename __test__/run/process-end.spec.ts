import { describe, expect, it } from 'vitest'

import { runFixture } from '../support/child.js'

describe('a process that ends while a base runs ends normally', () => {
  it.each([
    'pending',
    'while it runs',
    'in a callback of run',
    'in a callback of loop',
    'with many bases',
    'in an exit handler that closes the base',
  ])('%s', async (name) => {
    const ended = await runFixture('exit.mjs', name)
    expect(ended).toEqual({ code: 7, signal: null, stdout: 'exit\n', stderr: '' })
  })

  it('by a signal', async () => {
    const ended = await runFixture('exit.mjs', 'by a signal')
    expect(ended).toEqual({ code: null, signal: 'SIGTERM', stdout: '', stderr: '' })
  })
})
