/** The command lines of the examples. */

import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { expect, test } from 'vitest'

import {
  formatAddress,
  onlyArgument,
  parseCount,
  parseHostAndPort,
  parseSeconds,
  parseTarget,
  UsageError,
} from '../../examples/shared/command.js'
import { read } from '../docs/documents.js'
import { example } from './support.js'

const folder = fileURLToPath(new URL('../../examples/', import.meta.url))
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length))

/** `main-job`, which `npm start` runs, has a command line of its own. */
const plain = names.filter((name) => name !== 'main-job')

test.each(plain)('%s --help prints its usage', async (name) => {
  const { code, out, err } = await example(name, '--help').ended
  expect([code, err]).toEqual([0, ''])
  expect(out.startsWith(`usage: ${name}.ts`)).toBe(true)
  for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
})

const port = '127.0.0.1:0'
const refusals: [string, string[], RegExp][] = [
  ['echo-server', ['--bogus'], /--bogus/],
  ['unix-bridge', ['--listen', port, '--to', 'unix:'], /--to must name a socket/],
  ['http-connect', [], /--allow is missing/],
  ['sni-router', ['--route', 'one'], /--route must be NAME=ADDRESS/],
  ['tty-reader', ['/a', '/b'], /one PATH is expected/],
  ['udp-echo', ['--batch', '65'], /--batch must be a number from 1 to 64/],
]

test.each(refusals)('%s refuses %j by one line that names --help', async (name, args, message) => {
  const { code, out, err } = await example(name, ...args).ended
  expect([code, out]).toEqual([2, ''])
  expect(err).toMatch(message)
  expect(err.trim().split('\n')).toHaveLength(1)
  expect(err).toContain(`(see ${name}.ts --help)`)
})

const failures: [string, string[], RegExp][] = [
  ['echo-server', ['--listen', '192.0.2.1:0'], /^bind EADDRNOTAVAIL/],
  ['unix-bridge', ['--listen', 'unix:/nonexistent/socket', '--to', port], /^bind ENOENT/],
  ['fifo-reader', ['/nonexistent/fifo'], /ENOENT/],
  ['fifo-reader', [folder], /is not a FIFO/],
  ['tty-reader', ['/dev/null'], /is not a terminal/],
  ['input-reader', [`${folder}/proxy.ts`], /is not a device/],
  ['udp-echo', ['--listen', '192.0.2.1:0'], /^bind EADDRNOTAVAIL/],
]

test.each(failures)('%s reports why it cannot serve %j', async (name, args, message) => {
  const { code, out, err } = await example(name, ...args).ended
  expect([code, out]).toEqual([1, ''])
  expect(err).toMatch(message)
  expect(err.trim().split('\n')).toHaveLength(1)
})

test('arguments are parsed strictly', () => {
  expect(parseHostAndPort('--to', 'example.org:80')).toEqual({ host: 'example.org', port: 80 })
  expect(parseHostAndPort('--to', '[::1]:65535')).toEqual({ host: '::1', port: 65_535 })
  expect(parseTarget('--to', 'unix:/a:1')).toEqual({ path: '/a:1' })
  expect(parseTarget('--to', 'unix:@name')).toEqual({ path: '\0name' })
  expect(parseTarget('--to', '127.0.0.1:0')).toEqual({ host: '127.0.0.1', port: 0 })
  expect([parseSeconds('s', '0.0001'), parseSeconds('s', '10')]).toEqual([1, 10_000])
  expect(parseCount('n', '64', 1, 64)).toBe(64)
  expect(onlyArgument('PATH', ['/a'])).toBe('/a')
  for (const address of ['127.0.0.1:80', '[::1]:80', 'unix:/a', 'unix:@a']) {
    expect(formatAddress(parseTarget('--to', address))).toBe(address)
  }
  const refused: (() => unknown)[] = [
    ...[undefined, '', 'a', 'a:', ':1', 'a:65536', 'a:1:2', '::1:80', '[::1]', 'a:x', 'a:-1'].map(
      (text) => () => parseHostAndPort('--to', text),
    ),
    ...['unix:', 'unix:@', 'unix', '/a'].map((text) => () => parseTarget('--to', text)),
    ...['', 'x', '-1', '1e3', '1000001'].map((text) => () => parseSeconds('s', text)),
    ...['', '0', '65', '1.5', '0x1', '-1'].map((text) => () => parseCount('n', text, 1, 64)),
    () => onlyArgument('PATH', []),
    () => onlyArgument('PATH', ['/a', '/b']),
  ]
  for (const parse of refused) expect(parse).toThrow(UsageError)
})

test('README.md lists every example', () => {
  const readme = read('README.md')
  for (const name of names) expect(readme).toContain(`/examples/${name}.ts)`)
})
