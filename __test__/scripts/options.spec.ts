import { expect, test } from 'vitest'

import { decimal, integer } from '../../scripts/lib/options.js'

test('an integer is taken in its range only', () => {
  expect(integer('seed', '0', 0)).toBe(0)
  expect(integer('seed', '4294967295', 0)).toBe(0xffff_ffff)
  expect(integer('jobs', '8', 1, 8)).toBe(8)
  for (const text of ['4294967296', '', '-1', '1.5', '1e3', ' 1', '0x10', 'NaN']) {
    expect(() => integer('seed', text, 0), text).toThrow(
      `--seed must be an integer from 0 to 4294967295, not ${text}`,
    )
  }
  expect(() => integer('jobs', '0', 1, 8)).toThrow('--jobs must be an integer from 1 to 8, not 0')
  expect(() => integer('jobs', '9', 1, 8)).toThrow('--jobs must be an integer from 1 to 8, not 9')
})

test('a decimal number is taken in its range only', () => {
  expect(decimal('minutes', '0.5', 0.1, 10)).toBe(0.5)
  expect(decimal('minutes', '10', 0.1, 10)).toBe(10)
  for (const text of ['0', '10.1', '', '-1', '.5', '1e1', 'Infinity']) {
    expect(() => decimal('minutes', text, 0.1, 10), text).toThrow(
      `--minutes must be a number from 0.1 to 10, not ${text}`,
    )
  }
})
