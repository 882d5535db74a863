/** What every example understands, and how each refuses. */

import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { expect, test } from 'vitest'

import { read } from '../docs/documents.js'
import { example } from './support.js'

const folder = fileURLToPath(new URL('../../examples/', import.meta.url))
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length))

/** The one that `npm start` runs has a command line of its own. */
const plain = names.filter((name) => name !== 'main-job')

test.each(plain)('%s explains itself', async (name) => {
  const { code, out, err } = await example(name, '--help').ended
  expect([code, err]).toEqual([0, ''])
  expect(out.startsWith(`usage: ${name}.ts`)).toBe(true)
  for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
})

const port = '127.0.0.1:0'
const refusals: [string, string[], RegExp][] = [
  ['echo-server', ['--bogus'], /--bogus/],
  ['echo-server', ['--listen', '127.0.0.1:65536'], /--listen must be HOST:PORT/],
  ['proxy', ['--listen', port], /--upstream is missing/],
  ['unix-bridge', ['--to', port], /--listen is missing/],
  ['unix-bridge', ['--listen', 'unix:', '--to', port], /--listen must name a socket/],
  ['unix-bridge', ['--listen', port, '--to', port, '--idle-timeout', 'x'], /--idle-timeout must be/],
  ['http-connect', [], /--allow is missing/],
  ['http-connect', ['--allow', 'a:b:c'], /--allow must be HOST/],
  ['sni-router', [], /--route is missing/],
  ['sni-router', ['--route', 'one'], /--route must be NAME=ADDRESS/],
  ['fifo-reader', ['/a', '/b'], /only one PATH/],
  ['tty-reader', ['/a', '/b'], /only one PATH/],
  ['input-reader', [], /PATH is missing/],
  ['udp-echo', ['--batch', '65'], /--batch must be a number from 1 to 64/],
]

test.each(refusals)('%s refuses %j', async (name, args, complaint) => {
  const { code, out, err } = await example(name, ...args).ended
  expect([code, out]).toEqual([2, ''])
  expect(err).toMatch(complaint)
  expect(err).toContain(`usage: ${name}.ts`)
})

const failures: [string, string[], RegExp][] = [
  ['echo-server', ['--listen', '192.0.2.1:0'], /EADDRNOTAVAIL.*bind/],
  ['unix-bridge', ['--listen', 'unix:/nonexistent/door', '--to', port], /ENOENT.*bind/],
  ['fifo-reader', ['/nonexistent/fifo'], /ENOENT/],
  ['fifo-reader', [folder], /is no FIFO/],
  ['tty-reader', ['/dev/null'], /is no terminal/],
  ['input-reader', [`${folder}/proxy.ts`], /is no device/],
  ['udp-echo', ['--listen', '192.0.2.1:0'], /EADDRNOTAVAIL.*bind/],
]

test.each(failures)('%s tells why it cannot serve %j', async (name, args, complaint) => {
  const { code, out, err } = await example(name, ...args).ended
  expect([code, out]).toEqual([1, ''])
  expect(err).toMatch(complaint)
  expect(err.trim().split('\n')).toHaveLength(1)
})

test('README.md lists every example', () => {
  const readme = read('README.md')
  for (const name of names) expect(readme).toContain(`(examples/${name}.ts)`)
})
