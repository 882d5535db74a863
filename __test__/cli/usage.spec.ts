import { expect, test } from 'vitest'

import { EventBase } from '../../index.js'
import { eventBase } from './support.js'

test('methods prints the backends, best first, with their features', async () => {
  const { code, out, err } = await eventBase('methods').ended
  const lines = out.trimEnd().split('\n')
  expect(lines.map((line) => line.split('\t')[0])).toEqual(EventBase.supportedMethods())
  const features = lines.map((line) => line.split('\t')[1] ?? '')
  for (const each of features) expect(each).toMatch(/^(?:(?:ET|O1|FDS|EARLY_CLOSE)(?: |$))*$/)
  expect(out).toContain('epoll\tET O1 EARLY_CLOSE')
  expect([code, err]).toEqual([0, ''])
})

test.each([['--help'], ['-h'], ['proxy', '--help']])('%s prints the usage', async (...args) => {
  const { code, out, err } = await eventBase(...args).ended
  expect(out).toMatch(/^usage: event-base proxy --listen HOST:PORT --upstream HOST:PORT/)
  expect([code, err]).toEqual([0, ''])
})

const upstream = ['--upstream', '127.0.0.1:9']
const wrong: [string, string[]][] = [
  ['a command is missing', []],
  ['unknown command "prox"', ['prox']],
  ['methods takes no arguments', ['methods', 'epoll']],
  ['--listen is missing', ['proxy', ...upstream]],
  ['--upstream is missing', ['proxy', '--listen', '127.0.0.1:0']],
  ['--listen must be HOST:PORT', ['proxy', '--listen', '8080', ...upstream]],
  ['--listen must be HOST:PORT', ['proxy', '--listen', '127.0.0.1:65536', ...upstream]],
  ['--listen must be HOST:PORT', ['proxy', '--listen', '::1:80', ...upstream]],
  ['--listen needs a numeric address', ['proxy', '--listen', 'example.com:80', ...upstream]],
  ['--idle-timeout must be', ['proxy', '--listen', '127.0.0.1:0', ...upstream, '--idle-timeout=-1']],
  ['--idle-timeout must be', ['proxy', '--listen', '127.0.0.1:0', ...upstream, '--idle-timeout', 'soon']],
  ['--bogus', ['proxy', '--listen', '127.0.0.1:0', ...upstream, '--bogus']],
  ['extra', ['proxy', '--listen', '127.0.0.1:0', ...upstream, 'extra']],
]

test.each(wrong)('%s: exit code 2 and a word on stderr (%j)', async (message, args) => {
  const { code, out, err } = await eventBase(...args).ended
  expect(err).toContain(message)
  expect(err).toContain('usage: event-base')
  expect([code, out]).toEqual([2, ''])
})
