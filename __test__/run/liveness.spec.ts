import { describe, expect, it } from 'vitest'

import { runFixture } from '../support/child.js'

describe('the process', () => {
  it.each([
    ['unref before', ['false', 'exit 0']],
    ['unref after', ['false', 'exit 0']],
    ['unref in a callback', ['exit 0']],
    ['ref is the default', ['true', 'fired', 'exit 0']],
    ['ref again', ['true', 'fired', 'exit 0']],
    ['the end of the run', ['fired', 'exit 0']],
    ['no run', ['exit 0']],
    ['an abort', ['AbortError', 'exit 0']],
    ['close', ['exit 0']],
  ])('lives as long as it has to: %s', async (name, lines) => {
    const { code, signal, stdout, stderr } = await runFixture('liveness.mjs', name)
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' })
    expect(stdout.trim().split('\n')).toEqual(lines)
  })
})
