import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'

import { expect, test } from 'vitest'

import { EventBase } from '../../index.js'
import { parseSettings } from '../../ts/cli/settings.js'
import { UsageError } from '../../ts/cli/usage.js'
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

test.each([['--version'], ['-V']])('%s prints the version', async (option) => {
  const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string }
  const { code, out, err } = await eventBase(option).ended
  expect([code, out, err]).toEqual([0, `event-base ${version}\n`, ''])
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
  ['--listen must be', ['proxy', '--listen', '[127.0.0.1]:80', ...upstream]],
  ['--listen unix: needs a path', ['proxy', '--listen', 'unix:', ...upstream]],
  ['--listen must be', ['proxy', '--listen', 'fd:x', ...upstream]],
  ['--upstream must be', ['proxy', '--listen', '127.0.0.1:0', '--upstream', 'somewhere']],
  ['--upstream cannot be port 0', ['proxy', '--listen', '127.0.0.1:0', '--upstream', 'a:0']],
  ['a weight is 1 to 256', ['proxy', '--listen', '127.0.0.1:0', '--upstream', 'a:1,weight=0']],
  ['is there twice', ['proxy', '--listen', '127.0.0.1:0', '--upstream', 'a:1', '--upstream', 'a:1,weight=2']],
  ['--threads must be', ['proxy', '--listen', '127.0.0.1:0', ...upstream, '--threads', '0']],
  ['--threads must be', ['proxy', '--listen', '127.0.0.1:0', ...upstream, '--threads', '1025']],
  ['--threads must be', ['proxy', '--listen', '127.0.0.1:0', ...upstream, '--threads', 'many']],
  ['--balance must be', ['proxy', '--listen', '127.0.0.1:0', ...upstream, '--balance', 'random']],
  ['--rate must be', ['proxy', '--listen', '127.0.0.1:0', ...upstream, '--rate', '0']],
  ['--rate must be', ['proxy', '--listen', '127.0.0.1:0', ...upstream, '--rate', '5T']],
  ['--connect-timeout must be', ['proxy', '--listen', '127.0.0.1:0', ...upstream, '--connect-timeout', '']],
  ['--drain-timeout must be', ['proxy', '--listen', '127.0.0.1:0', ...upstream, '--drain-timeout', 'x']],
  ['--proxy-protocol must be', ['proxy', '--listen', '127.0.0.1:0', ...upstream, '--proxy-protocol', '3']],
  ['--bogus', ['proxy', '--listen', '127.0.0.1:0', ...upstream, '--bogus']],
  ['extra', ['proxy', '--listen', '127.0.0.1:0', ...upstream, 'extra']],
]

test.each(wrong)('%s (%j)', async (message, args) => {
  const [command, ...rest] = args
  const { code, out, err } = command === 'proxy' ? refusal(rest) : await eventBase(...args).ended
  expect(err).toContain(message)
  expect([code, out]).toEqual([2, ''])
})

/** What the command would say of a command line, without a process for each. */
function refusal(args: string[]): { code: number; out: string; err: string } {
  try {
    parseSettings(args)
  } catch (error) {
    if (error instanceof UsageError) return { code: 2, out: '', err: error.message }
    throw error
  }
  return { code: 0, out: '', err: '' }
}

test('a command line that could not be meant ends with 2 and the usage on stderr', async () => {
  const { code, out, err } = await eventBase('proxy', '--listen', '8080', ...upstream).ended
  expect(err).toMatch(/^event-base: --listen must be HOST:PORT, not "8080"\n\nusage: event-base proxy/)
  expect([code, out]).toEqual([2, ''])
})

test('a command line is taken by its words', () => {
  const args = ['--listen=[::1]:0', '--upstream=db:1', '--upstream=unix:/run/x,weight=3', '--threads=2']
  const more = [
    '--rate=1.5M',
    '--total-rate=10',
    '--idle-timeout=2.5',
    '--proxy-protocol=2',
    '--balance=least-connections',
  ]
  expect(parseSettings([...args, ...more])).toEqual({
    listen: { host: '::1', port: 0 },
    upstreams: [
      { host: 'db', port: 1, weight: 1 },
      { path: '/run/x', weight: 3 },
    ],
    threads: 2,
    options: {
      balance: 'least-connections',
      connectTimeout: 10_000,
      idleTimeout: 2500,
      limit: { rate: 1_572_864 },
      totalLimit: { rate: 10 },
      proxyProtocol: 2,
    },
    drainTimeout: 10_000,
    stats: false,
  })
  expect(parseSettings(['--listen=fd:3', '--upstream=unix:@abstract', '--threads=auto'])).toMatchObject({
    listen: { fd: 3 },
    upstreams: [{ path: '\0abstract' }],
    threads: availableParallelism(),
  })
})
