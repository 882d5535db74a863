import { expect, test } from 'vitest'

import { runFixture } from '../support/child.js'

test.each([
  'an element that is a getter',
  'a getter behind the last element',
  'an element that throws',
  'an element that is no array of bytes',
  'an inherited prefix of a relay',
  'a prefix that the other prefix takes away',
  'an option that takes a prefix away',
  'a property that every object inherits',
  'memory that threads share',
])('no byte of memory that JavaScript took away is read: %s', async (name) => {
  const { code, signal, stdout, stderr } = await runFixture('detached.mjs', name)
  expect({ code, signal, stdout, stderr }).toEqual({ code: 0, signal: null, stdout: 'done\n', stderr: '' })
})
