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

/** The header of an ELF file for a processor that this one is not, with nothing behind it. */
function elfForAnotherProcessor(): Buffer {
  const file = Buffer.alloc(4096)
  file.write('\x7fELF\x02\x01\x01', 'latin1')
  // e_type: a shared object; e_machine: AArch64 or x86-64; e_version.
  file.writeUInt16LE(3, 16)
  file.writeUInt16LE(process.arch === 'arm64' ? 62 : 183, 18)
  file.writeUInt32LE(1, 20)
  return file
}

test.each([
  ['damaged', Buffer.from('this is not an addon')],
  ['empty', Buffer.alloc(0)],
  ['foreign', elfForAnotherProcessor()],
])('an addon that is %s is described in one line', (name, bytes) => {
  const place = installed()
  const addon = join(place, `${name}.node`)
  writeFileSync(addon, bytes)
  const [status, out, err] = run(place, ['methods'], [], addon)
  expect([status, out]).toEqual([1, ''])
  expect(err).toMatch(
    /^event-base: the native addon cannot be loaded: .*(?:damaged|empty|foreign)\.node.*; the file is damaged or for another system: reinstall event-base\n$/,
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
  [
    [missing, "Module did not self-register: '/a.node'"],
    /did not self-register.*; the file is damaged or for another system/,
  ],
  [
    [missing, '/a.node: object file has no loadable segments'],
    /no loadable segments; the file is damaged or for another system/,
  ],
  [
    [missing, '/home/elf/GLIBC/a.node: cannot open shared object file: Permission denied'],
    /Permission denied; make the file readable$/,
  ],
  [
    [missing, 'liba.so: cannot open shared object file: No such file or directory'],
    /liba\.so.*; install this library, which the addon needs$/,
  ],
  [[missing, 'something new\nwith details'], /^the native addon cannot be loaded: something new$/],
  [[missing, missing], /is not installed/],
])('%j is reduced to the reason and the remedy', (texts, expected) => {
  const line = describeLoadFailure(chain(...texts))
  expect(line).toMatch(expected)
  expect(line).not.toContain('\n')
})
