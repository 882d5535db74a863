import { describe, expect, it } from 'vitest'

import { callAll } from '../../ts/call-all.js'
import { thrownBy } from '../support/errors.js'

/** What `callAll` throws for calls that throw these values; a last call checks that every call was made. */
function failureOf(...values: unknown[]): unknown {
  let count = 0
  const calls = values.map((value) => () => {
    count += 1
    throw value
  })
  const error = thrownBy(() => callAll('several', [...calls, () => (count += 1)]))
  expect(count).toBe(values.length + 1)
  return error
}

const values: [string, unknown][] = [
  ['undefined', undefined],
  ['null', null],
  ['a string', 'text'],
  ['a frozen error', Object.freeze(new Error('frozen'))],
  ['an AggregateError without errors', new AggregateError([])],
  ['an AggregateError whose errors are no list', Object.assign(new AggregateError([]), { errors: 5 })],
]

describe.each(values)('a call that throws %s', (_name, value) => {
  it('alone: the value is thrown unchanged', () => {
    expect(failureOf(value)).toBe(value)
  })

  it('beside another one: both values are reported', () => {
    const error = failureOf(value, 'second') as AggregateError
    expect(error).toBeInstanceOf(AggregateError)
    expect(error.message).toBe('several')
    expect(failureOf('first', value)).toHaveProperty('errors', ['first', value])
  })
})

it('an AggregateError has the properties of the first error', () => {
  const first = Object.freeze(Object.assign(new Error('first'), { code: 'EBADF' }))
  expect(failureOf(first, new Error('second'))).toMatchObject({ code: 'EBADF', message: 'several' })
  expect(Object.keys(failureOf('text', first) as object)).toEqual([])
})

it('errors of a nested call are reported one by one', () => {
  const nested = failureOf(1, 2)
  expect(failureOf(0, nested, 3)).toHaveProperty('errors', [0, 1, 2, 3])
})
