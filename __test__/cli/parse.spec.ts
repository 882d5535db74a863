import { expect, test } from 'vitest'

import { nearest } from '../../ts/cli/nearest.js'
import {
  formatWhere,
  parseBytes,
  parseConnections,
  parseListen,
  parseSeconds,
  parseThreads,
  parseUpstreams,
} from '../../ts/cli/parse.js'
import { UsageError } from '../../ts/cli/usage.js'

test.each([
  ['prxy', ['proxy', 'methods'], 'proxy'],
  ['proxyy', ['methods', 'proxy'], 'proxy'],
  ['methodes', ['proxy', 'methods'], 'methods'],
  // One character in three may differ, and at least one.
  ['abcxyz', ['abcdez'], 'abcdez'],
  ['abcxyw', ['abcdez'], undefined],
  ['ab', ['ax'], 'ax'],
  ['ab', ['xy'], undefined],
  ['x', ['y'], 'y'],
  // A part of a name means it, from three characters on.
  ['out', ['idle-timeout'], 'idle-timeout'],
  ['ou', ['idle-timeout'], undefined],
  // The nearest one is meant, else the first one.
  ['rate', ['total-rate', 'ratio', 'rates'], 'rates'],
  ['aaab', ['aaac', 'aaad'], 'aaac'],
  ['abcd', ['bcde'], undefined],
  ['abcdef', ['bcdefg'], 'bcdefg'],
  ['', ['a'], 'a'],
  ['a', [], undefined],
])('%j means the nearest of %j: %j', (name, known, meant) => {
  expect(nearest(name, known)).toBe(meant)
})

test('the values of options include the ends of their ranges', () => {
  expect([parseThreads('', '1'), parseThreads('', '1024')]).toEqual([1, 1024])
  expect([parseConnections('', '0'), parseConnections('', '2147483647')]).toEqual([0, 2_147_483_647])
  expect([parseSeconds('', '0'), parseSeconds('', '1000000000')]).toEqual([0, 1e12])
  expect([parseBytes('', '1'), parseBytes('', '9007199254740991')]).toEqual([1, Number.MAX_SAFE_INTEGER])
  expect([parseBytes('', '2k'), parseBytes('', '2M'), parseBytes('', '2g')]).toEqual([2048, 2 ** 21, 2 ** 31])
  expect(() => parseBytes('', '9007199254740993')).toThrow(UsageError)
  expect(parseListen('', '127.0.0.1:65535')).toEqual({ host: '127.0.0.1', port: 65_535 })
  expect(parseListen('', 'localhost:0')).toEqual({ host: 'localhost', port: 0 })
  const weights = ['a:1,weight=1', 'a:2,weight=256']
  expect(parseUpstreams('', weights).map(({ weight }) => weight)).toEqual([1, 256])
  const most = Array.from({ length: 1024 }, (_, index) => `a:${index + 1}`)
  expect(parseUpstreams('', most)).toHaveLength(1024)
})

test('an address is formatted as the command line accepts it', () => {
  const listeners = ['127.0.0.1:80', '[::1]:80', 'unix:/run/x', 'unix:@abstract', 'fd:3']
  expect(listeners.map((text) => formatWhere(parseListen('', text)))).toEqual(listeners)
  // A path that begins with @ is not a name in the abstract namespace.
  expect(formatWhere({ path: '@x' })).toBe('unix:./@x')
})
