import { describe, expect, it } from 'vitest'

import { reportsHandlers } from '../../scripts/lib/system.mjs'
import { runFixture } from '../support/child.js'

describe('two copies of the package in one process', () => {
  it.runIf(reportsHandlers)(
    'and a listener all receive a signal, in whatever order they begin and end, and leave no handler',
    async () => {
      const { code, signal, stdout, stderr } = await runFixture('signals-copies.mjs', 'every order')
      expect({ code, signal, stdout, stderr }).toEqual({
        code: 0,
        signal: null,
        stdout: '90 orders\n',
        stderr: '',
      })
    },
  )

  it.each([['+a +b -a -b'], ['+a +b -a +a -b -a'], ['+node +a +b -node -a -b']])(
    'restore the default, which ends the process: %s',
    async (steps) => {
      const ended = await runFixture('signals-copies.mjs', 'the default is left', ...steps.split(' '))
      expect(ended).toEqual({ code: null, signal: 'SIGTERM', stdout: '', stderr: '' })
    },
  )

  it.runIf(reportsHandlers)('may restore the handler of a copy that only a worker had loaded', async () => {
    const { code, signal, stdout, stderr } = await runFixture(
      'signals-copies.mjs',
      'a copy that only a worker had loaded',
    )
    expect({ code, signal, stdout, stderr }).toEqual({ code: 0, signal: null, stdout: 'false\n', stderr: '' })
  })
})
