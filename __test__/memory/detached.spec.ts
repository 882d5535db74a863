import { expect, test } from 'vitest'

import { runFixture } from '../support/child.js'

test.each([
  'an element that is a getter',
  'a getter after the last element',
  'an element that throws',
  'an element that is no array of bytes',
  'an inherited prefix of a relay',
  'a prefix that the other prefix detaches',
  'an option that detaches a prefix',
  'a property that every object inherits',
  'memory that threads share',
])('no byte of memory that JavaScript detached is read: %s', async (name) => {
  const { code, signal, stdout, stderr } = await runFixture('detached.mjs', name)
  expect({ code, signal, stdout, stderr }).toEqual({ code: 0, signal: null, stdout: 'done\n', stderr: '' })
})
