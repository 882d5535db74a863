import { expect, it } from 'vitest'

import { runFixtureWith } from '../support/child.js'

it('no error that is caught aborts the process under --abort-on-uncaught-exception', async () => {
  const { code, signal, stdout, stderr } = await runFixtureWith(
    ['--abort-on-uncaught-exception'],
    'caught.mjs',
  )
  expect({ code, signal, stdout, stderr }).toEqual({ code: 0, signal: null, stdout: 'done\n', stderr: '' })
})
