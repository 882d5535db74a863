import { spawnSync } from 'node:child_process'
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { describeLoadFailure } from '../../ts/cli/load-failure.js'
import { folder } from '../net/support.js'

/** The package without an addon, in a folder of its own. */
function installed(): string {
  const place = folder()
  for (const name of ['package.json', 'binding.js', 'dist']) {
    cpSync(name, join(place, name), { recursive: true })
  }
  return place
}

/** Runs the command of an installed package. */
function run(
  place: string,
  args: string[],
  options: string[] = [],
  addon = '',
): [number | null, string, string] {
  const env: NodeJS.ProcessEnv = { ...process.env, NAPI_RS_NATIVE_LIBRARY_PATH: addon }
  const script = join(place, 'dist/ts/cli/main.js')
  const { status, stdout, stderr } = spawnSync(process.execPath, [...options, script, ...args], {
    env,
    encoding: 'utf8',
  })
  return [status, stdout, stderr]
}

const platform = `${process.platform}-${process.arch}`

test('without the addon of the platform the command names the package manager’s option in one line', () => {
  const message =
    `event-base: the native addon for ${platform} is not installed: reinstall event-base with its optional ` +
    'dependencies (npm install --include=optional)\n'
  const place = installed()
  for (const args of [['methods'], ['proxy', '--listen', '127.0.0.1:0', '--upstream', 'a:1']]) {
    expect(run(place, args)).toEqual([1, '', message])
  }
})

test('without the addon --help and --version work', () => {
  const place = installed()
  for (const args of [['--help'], ['proxy', '--help'], ['--version']]) {
    const [status, out, err] = run(place, args)
    expect([status, err]).toEqual([0, ''])
    expect(out).toMatch(/^(?:usage: )?event-base /)
  }
})

test('a damaged addon is described in one line', () => {
  const place = installed()
  const addon = join(place, 'damaged.node')
  writeFileSync(addon, 'this is not an addon')
  const [status, out, err] = run(place, ['methods'], [], addon)
  expect([status, out]).toEqual([1, ''])
  expect(err).toMatch(
    /^event-base: the native addon cannot be loaded: .*damaged\.node.*; the file is damaged or for another system: reinstall event-base\n$/,
  )
})

test('a path in NAPI_RS_NATIVE_LIBRARY_PATH that does not exist is named', () => {
  const err = 'event-base: NAPI_RS_NATIVE_LIBRARY_PATH names "/nonexistent.node", which does not exist\n'
  expect(run(installed(), ['methods'], [], '/nonexistent.node')).toEqual([1, '', err])
})

test('addons that Node must not load are described in one line', () => {
  const [status, out, err] = run(process.cwd(), ['methods'], ['--no-addons'])
  expect([status, out]).toEqual([1, ''])
  expect(err).toBe(
    'event-base: the native addon cannot be loaded: Cannot load native addon because loading addons is disabled; ' +
      'run node without --no-addons, or with --allow-addons beside --permission\n',
  )
})

/** What the loader throws after every file has failed. */
function chain(...texts: string[]): Error {
  const cause = texts.reduce<Error | undefined>(
    (before, text) => new Error(text, { cause: before }),
    undefined,
  )
  return new Error('Cannot find native binding. npm has a bug', { cause })
}

const missing = "Cannot find module './event-base.linux-x64-gnu.node'\nRequire stack:\n- binding.js"

test.each([
  [
    ["/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by /a.node)", missing],
    /GLIBC_2\.38.*; the C library of this system is older than the addon needs/,
  ],
  [
    [missing, 'Unsupported OS: sunos, architecture: x64'],
    /Unsupported OS: sunos.*; there is no addon for this platform/,
  ],
  [
    [missing, 'Native binding package version mismatch, expected 1 but got 2'],
    /mismatch.*; reinstall event-base$/,
  ],
  [[missing, 'something new\nwith details'], /^the native addon cannot be loaded: something new$/],
  [[missing, missing], /is not installed/],
])('%j is reduced to the reason and the remedy', (texts, expected) => {
  const line = describeLoadFailure(chain(...texts))
  expect(line).toMatch(expected)
  expect(line).not.toContain('\n')
})
