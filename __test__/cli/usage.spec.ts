import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'

import { expect, test } from 'vitest'

import { EventBase } from '../../index.js'
import { OPTIONS } from '../../ts/cli/options.js'
import { parseSettings } from '../../ts/cli/settings.js'
import { PROXY_USAGE, USAGE, UsageError } from '../../ts/cli/usage.js'
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

test.each([
  [['--help'], USAGE],
  [['-h'], USAGE],
  [['methods', '--help'], USAGE],
  [['proxy', '--help'], PROXY_USAGE],
  [['proxy', '--listen', 'nowhere', '-h'], PROXY_USAGE],
])('%j prints the help', async (args, help) => {
  expect(await eventBase(...args).ended).toMatchObject({ code: 0, out: help, err: '' })
})

test('no line of the help is wider than 80 columns, and every option is in it', () => {
  const lines = [...USAGE.split('\n'), ...PROXY_USAGE.split('\n')]
  expect(lines.filter((line) => line.length > 80)).toEqual([])
  for (const [name, { value }] of Object.entries(OPTIONS)) {
    const head = value === undefined ? `  --${name} ` : `  --${name} ${value} `
    expect(lines.filter((line) => line.startsWith(head))).toHaveLength(1)
  }
})

test.each([['--version'], ['-V']])('%s prints the version', async (option) => {
  const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string }
  const { code, out, err } = await eventBase(option).ended
  expect([code, out, err]).toEqual([0, `event-base ${version}\n`, ''])
})

const listen = ['--listen', '127.0.0.1:0']
const upstream = ['--upstream', '127.0.0.1:9']
const both = [...listen, ...upstream]
const wrong: [string, string[]][] = [
  ['--listen is missing', upstream],
  ['--upstream is missing', listen],
  ['--listen must be HOST:PORT, not "8080"', ['--listen', '8080', ...upstream]],
  ['--listen must be HOST:PORT', ['--listen', '127.0.0.1:65536', ...upstream]],
  ['--listen must be HOST:PORT', ['--listen', '::1:80', ...upstream]],
  ['--listen must be HOST:PORT', ['--listen', '', ...upstream]],
  ['--listen needs a numeric address', ['--listen', 'example.com:80', ...upstream]],
  ['--listen must be', ['--listen', '[127.0.0.1]:80', ...upstream]],
  ['--listen unix: needs a path', ['--listen', 'unix:', ...upstream]],
  ['--listen must be', ['--listen', 'fd:x', ...upstream]],
  ['--listen needs a value: --listen WHERE', [...upstream, '--listen']],
  ['--listen needs a value, but "--upstream" follows it', ['--listen', ...upstream]],
  ['--listen can be given only once', [...both, '--listen', '127.0.0.1:1']],
  ['--threads can be given only once', [...both, '--threads=2', '--threads=2']],
  ['--stats can be given only once', [...both, '--stats', '--stats']],
  ['--stats takes no value, but got "yes"', [...both, '--stats=yes']],
  ['--upstream must be', [...listen, '--upstream', 'somewhere']],
  ['--upstream cannot be port 0', [...listen, '--upstream', 'a:0']],
  ['a weight is 1 to 256', [...listen, '--upstream', 'a:1,weight=0']],
  ['a weight is 1 to 256, not "x"', [...listen, '--upstream', 'unix:/a,weight=x']],
  ['a weight is 1 to 256, not "1000"', [...listen, '--upstream', 'a:1,weight=1000']],
  ['--upstream "a:80" is given twice', [...listen, '--upstream', 'a:80', '--upstream', 'a:080']],
  [
    '--upstream can be given 1024 times',
    [...listen, ...Array.from({ length: 1025 }, (_, index) => `--upstream=a:${index + 1}`)],
  ],
  ['--upstream "a:1" is given twice', [...listen, '--upstream', 'a:1', '--upstream', 'a:1,weight=2']],
  ['--threads must be', [...both, '--threads', '0']],
  ['--threads must be', [...both, '--threads', '1025']],
  ['--threads must be', [...both, '--threads', 'many']],
  ['--balance must be', [...both, '--balance', 'random']],
  ['--addresses must be all or one, not "two"', [...both, '--addresses', 'two']],
  ['--lookup-interval must be', [...both, '--lookup-interval', 'often']],
  ['--rate must be', [...both, '--rate', '0']],
  ['--rate must be', [...both, '--rate', '5T']],
  ['--idle-timeout must be', [...both, '--idle-timeout=-1']],
  ['--idle-timeout must be', [...both, '--idle-timeout', 'soon']],
  ['--half-close-timeout must be', [...both, '--half-close-timeout', 'never']],
  ['--max-connections must be', [...both, '--max-connections', '1.5']],
  ['--max-connections must be', [...both, '--max-connections', '2147483648']],
  ['--reuse-port takes no value', [...both, '--reuse-port=yes']],
  ['--reuse-port needs a host and a port', ['--reuse-port', '--listen', 'unix:/x', ...upstream]],
  ['--connect-timeout must be', [...both, '--connect-timeout', '']],
  ['--drain-timeout must be', [...both, '--drain-timeout', 'x']],
  ['--drain-timeout must be', [...both, '--drain-timeout', '1000000001']],
  ['--proxy-protocol must be', [...both, '--proxy-protocol', '3']],
  ['unknown option "--lissten"; did you mean --listen?', ['--lissten', '127.0.0.1:0', ...upstream]],
  ['unknown option "--Upstream"; did you mean --upstream?', [...listen, '--Upstream=a:1']],
  ['unknown option "--drain"; did you mean --drain-timeout?', [...both, '--drain', '1']],
  ['unknown option "--bogus"', [...both, '--bogus']],
  ['unknown option "-s"', [...both, '-s']],
  ['unexpected argument "extra"', [...both, 'extra']],
  ['unexpected argument "a\\nb"', [...both, '--', 'a\nb']],
]

/** What is wrong with a command line, in words. */
function mistake(args: string[]): string {
  try {
    parseSettings(args)
  } catch (error) {
    if (error instanceof UsageError) return error.message
    throw error
  }
  return ''
}

test.each(wrong)('a mistake is described in one line: %s (%j)', (message, args) => {
  const found = mistake(args)
  expect(found).toContain(message)
  expect(found).not.toContain('\n')
})

test('an unknown option without a similar one gets no suggestion', () => {
  expect(mistake([...both, '--bogus'])).toBe('unknown option "--bogus"')
})

test.each([
  [[], 'a command is missing (see event-base --help)'],
  [['prox'], 'unknown command "prox"; did you mean proxy? (see event-base --help)'],
  [['serve'], 'unknown command "serve" (see event-base --help)'],
  [['methods', 'epoll'], 'methods takes no arguments, but got "epoll" (see event-base --help)'],
  [['proxy', '--listen', '8080'], '--upstream is missing (see event-base proxy --help)'],
  [
    ['proxy', '--lissten', '8080'],
    'unknown option "--lissten"; did you mean --listen? (see event-base proxy --help)',
  ],
])('%j exits with 2 after one line on stderr', async (args, message) => {
  const { code, out, err } = await eventBase(...args).ended
  expect([code, out, err]).toEqual([2, '', `event-base: ${message}\n`])
})

test('a path with a line feed does not break the line of a failure', async () => {
  const args = ['proxy', '--listen', 'unix:/nonexistent/a\nb', ...upstream]
  const { code, err } = await eventBase(...args).ended
  expect(code).toBe(1)
  expect(err).toMatch(/^event-base: .*ENOENT.*a b.*\n$/)
})

test('the options become those of proxy()', () => {
  const args = ['--listen=[::1]:0', '--upstream=db:1', '--upstream=unix:/run/x,weight=3', '--threads=2']
  const more = [
    '--rate=1.5M',
    '--total-rate=10',
    '--addresses=one',
    '--lookup-interval=60',
    '--connect-timeout=0',
    '--idle-timeout=2.5',
    '--half-close-timeout=0',
    '--max-connections=500',
    '--reuse-port',
    '--drain-timeout=2592000',
    '--proxy-protocol=2',
    '--balance=least-connections',
    '--stats',
  ]
  expect(parseSettings([...args, ...more])).toEqual({
    proxy: {
      listen: { host: '::1', port: 0, reusePort: true },
      upstream: [
        { host: 'db', port: 1, weight: 1 },
        { path: '/run/x', weight: 3 },
      ],
      threads: 2,
      balance: 'least-connections',
      addresses: 'one',
      lookupInterval: 60_000,
      connectTimeout: 0,
      idleTimeout: 2500,
      halfCloseTimeout: 0,
      maxConnections: 500,
      limit: { rate: 1_572_864 },
      totalLimit: { rate: 10 },
      proxyProtocol: 2,
    },
    drainTimeout: 2_592_000_000,
    stats: true,
  })
  expect(parseSettings(['--listen=fd:3', '--upstream=unix:@abstract', '--threads=auto'])).toMatchObject({
    proxy: {
      listen: { fd: 3 },
      upstream: [{ path: '\0abstract' }],
      threads: availableParallelism(),
    },
  })
})

test('without options there is one thread, idle connections end after 10 minutes, and a drain takes 10 seconds', () => {
  expect(parseSettings(both)).toEqual({
    proxy: {
      listen: { host: '127.0.0.1', port: 0 },
      upstream: [{ host: '127.0.0.1', port: 9, weight: 1 }],
      threads: 1,
      idleTimeout: 600_000,
    },
    drainTimeout: 10_000,
    stats: false,
  })
})
