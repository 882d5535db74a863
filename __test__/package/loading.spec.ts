/** Loading the native addon of an installed package. */

import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { describe, expect, it, test } from 'vitest'

import { readManifest, thisPlatform } from '../../scripts/lib/platforms.js'
import { dlopenError } from '../../ts/addon/failure.js'
import { PLATFORMS, VERSION } from '../../ts/addon/platforms.js'
import { folder } from '../net/support.js'
import { PATIENCE } from '../support/child.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const platform = thisPlatform(await readManifest())
const binary = `event-base.${platform}.node`
const built = process.env['NAPI_RS_NATIVE_LIBRARY_PATH'] || join(root, binary)
const isElf = process.platform !== 'darwin'
const isGlibc = platform.endsWith('-gnu')
const permissions = process.allowedNodeEnvironmentFlags.has('--permission')
  ? '--permission'
  : '--experimental-permission'

/** The folder of a program and of the packages that it has installed. */
class Installed {
  readonly folder: string = folder()
  /** The file of the addon in the package of this platform. */
  readonly addon: string = join(this.folder, 'node_modules/@event-base', platform, binary)

  /** Installs the package, and that of this platform with the bytes of an addon. */
  constructor(addon?: Buffer) {
    const modules = join(this.folder, 'node_modules')
    cpSync(join(root, 'package.json'), join(modules, 'event-base/package.json'))
    cpSync(join(root, 'dist'), join(modules, 'event-base/dist'), { recursive: true })
    if (addon !== undefined) this.installPlatform(platform, addon)
    writeFileSync(
      join(this.folder, 'app.mjs'),
      `import('event-base').then(
        ({ EventBase }) => { new EventBase().close(); console.log('loaded') },
        ({ code, message }) => console.log(JSON.stringify({ code, message })),
      )\n`,
    )
  }

  installPlatform(name: string, addon: Buffer): void {
    const place = join(this.folder, 'node_modules/@event-base', name)
    mkdirSync(place, { recursive: true })
    cpSync(join(root, 'npm', name, 'package.json'), join(place, 'package.json'))
    writeFileSync(join(place, `event-base.${name}.node`), addon)
  }

  /** Runs a program and returns its exit code and its output. */
  run(
    program: string,
    args: readonly string[] = [],
    { flags = [], addon = '' }: { flags?: readonly string[]; addon?: string } = {},
  ): [number | null, string, string] {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--no-warnings', ...flags, join(this.folder, program), ...args],
      {
        cwd: this.folder,
        env: { ...process.env, NAPI_RS_NATIVE_LIBRARY_PATH: addon },
        encoding: 'utf8',
        timeout: PATIENCE,
        killSignal: 'SIGKILL',
      },
    )
    return [status, stdout, stderr]
  }

  command(args: readonly string[], options = {}): [number | null, string, string] {
    return this.run('node_modules/event-base/dist/ts/cli/main.js', args, options)
  }

  /** The error of the import. The command reports the same message in one line. */
  failure(options: { flags?: readonly string[]; addon?: string } = {}): { code: string; message: string } {
    const [status, out, err] = this.run('app.mjs', [], options)
    expect([status, err]).toEqual([0, ''])
    const error = JSON.parse(out) as { code: string; message: string }
    expect(error.message).not.toContain('\n')
    expect(this.command(['methods'], options)).toEqual([1, '', `event-base: ${error.message}\n`])
    return error
  }

  /** The flags that run a statement before the program. */
  before(statement: string): { flags: string[] } {
    const file = join(this.folder, 'before.cjs')
    writeFileSync(file, statement)
    return { flags: ['--require', file] }
  }
}

const REINSTALL = 'delete node_modules and install again on this system'

describe('the addon of the platform’s package', () => {
  it('is loaded by import, by require and by the command', () => {
    const place = new Installed(readFileSync(built))
    expect(place.run('app.mjs')).toEqual([0, 'loaded\n', ''])
    writeFileSync(
      join(place.folder, 'app.cjs'),
      `const { EventBase } = require('event-base'); new EventBase().close(); console.log('loaded')\n`,
    )
    expect(place.run('app.cjs')).toEqual([0, 'loaded\n', ''])
    const [status, out, err] = place.command(['methods'])
    expect([status, err]).toEqual([0, ''])
    expect(out).not.toBe('')
  })

  it('is loaded while a worker waits in native code', () => {
    const place = new Installed(readFileSync(built))
    writeFileSync(
      join(place.folder, 'worker.mjs'),
      `import { parentPort } from 'node:worker_threads'
      import { EventBase, LoopFlag } from 'event-base'
      const base = new EventBase()
      base.newTimer(() => parentPort.postMessage('in the loop')).add(0)
      base.loop(LoopFlag.NO_EXIT_ON_EMPTY)\n`,
    )
    writeFileSync(
      join(place.folder, 'main.mjs'),
      `import { once } from 'node:events'
      import { Worker } from 'node:worker_threads'
      const worker = new Worker(new URL('worker.mjs', import.meta.url))
      console.log((await once(worker, 'message'))[0])
      await import('event-base')
      console.log('loaded')
      await worker.terminate()\n`,
    )
    expect(place.run('main.mjs')).toEqual([0, 'in the loop\nloaded\n', ''])
  })
})

describe('NAPI_RS_NATIVE_LIBRARY_PATH', () => {
  it('names the file to load', () => {
    const place = new Installed()
    const addon = join(place.folder, 'other.node')
    cpSync(built, addon)
    expect(place.run('app.mjs', [], { addon })).toEqual([0, 'loaded\n', ''])
  })

  it('is quoted if the file does not exist', () => {
    expect(new Installed().failure({ addon: '/nonexistent.node' })).toEqual({
      code: 'ERR_EVENT_ADDON_MISSING',
      message: 'NAPI_RS_NATIVE_LIBRARY_PATH names "/nonexistent.node", which does not exist',
    })
  })
})

describe('a missing addon', () => {
  it('is described with the option of npm and the fault of its lock file', () => {
    expect(new Installed().failure()).toEqual({
      code: 'ERR_EVENT_ADDON_MISSING',
      message:
        `The native addon for ${platform} is not installed: the optional dependency @event-base/${platform} is ` +
        'missing; run npm install --include=optional, and if that does not help, the lock file lacks it ' +
        '(https://github.com/npm/cli/issues/4828): delete package-lock.json and node_modules and install again',
    })
  })

  it('is described as another system’s installation if the addon of another platform is there', () => {
    const place = new Installed()
    const other = PLATFORMS.find((name) => name !== platform) ?? ''
    place.installPlatform(other, readFileSync(built))
    expect(place.failure()).toEqual({
      code: 'ERR_EVENT_ADDON_MISSING',
      message: `The native addon for ${platform} is not installed, but the one for ${other} is: ${REINSTALL}`,
    })
  })

  it('is described for every command that needs it; --help and --version work', () => {
    const place = new Installed()
    const proxy = ['proxy', '--listen', '127.0.0.1:0', '--upstream', 'a:1']
    expect(place.command(proxy)).toEqual(place.command(['methods']))
    for (const args of [['--help'], ['proxy', '--help'], ['--version']]) {
      const [status, out, err] = place.command(args)
      expect([status, err]).toEqual([0, ''])
      expect(out).toMatch(/^(?:usage: )?event-base /)
    }
  })
})

/** The platform that an error names, for which there may be an addon or not. */
function platformIn(message: string): string | undefined {
  return /^(?:The|There is no) native addon for (\S+?),? (?:is not installed|only for )/.exec(message)?.[1]
}

describe('the platform of a process', () => {
  it.each([
    ['win32', 'x64', ''],
    ['freebsd', 'arm64', '; build it from source, and set NAPI_RS_NATIVE_LIBRARY_PATH to its path'],
  ])('%s on %s is refused with the list of platforms', (system, arch, remedy) => {
    const place = new Installed(readFileSync(built))
    const fake = `Object.defineProperties(process, { platform: { value: '${system}' }, arch: { value: '${arch}' } })`
    expect(place.failure(place.before(fake))).toEqual({
      code: 'ERR_EVENT_ADDON_UNSUPPORTED',
      message: `There is no native addon for ${system}-${arch}, only for ${PLATFORMS.join(', ')}${remedy}`,
    })
  })

  test.runIf(process.platform === 'linux').each([
    ['/lib/ld-musl-x86_64.so.1', 'musl'],
    ['/lib64/ld-linux-x86-64.so.2', 'gnu'],
  ])('has the C library of the dynamic loader %s', (interpreter, libc) => {
    const place = new Installed()
    const program = join(place.folder, 'program')
    writeFileSync(program, elf64({ interpreter }))
    const fake = place.before(`process.execPath = ${JSON.stringify(program)}`)
    expect(place.failure(fake).message).toContain(`for linux-${process.arch}-${libc} is not installed`)
  })

  test.runIf(process.platform === 'linux').each([
    ['riscv64', '/lib/ld-linux-riscv64-lp64d.so.1', 'riscv64-gnu'],
    ['loong64', '/lib64/ld-linux-loongarch-lp64d.so.1', 'loong64-gnu'],
    ['s390x', '/lib/ld64.so.1', 's390x-gnu'],
    ['ppc64', '/lib64/ld64.so.2', 'ppc64-gnu'],
    ['ppc64', '/lib64/ld64.so.1', 'ppc64be-gnu'],
    ['arm', '/lib/ld-linux-armhf.so.3', 'arm-gnueabihf'],
    ['arm', '/lib/ld-linux.so.3', 'arm-gnueabi'],
    ['arm', '/lib/ld-musl-armhf.so.1', 'arm-musleabihf'],
  ])('on %s with the dynamic loader %s is linux-%s', (arch, interpreter, name) => {
    const place = new Installed()
    const program = join(place.folder, 'program')
    writeFileSync(program, elf64({ interpreter }))
    const order = name.startsWith('ppc64be') ? 'BE' : 'LE'
    const fake = place.before(
      `Object.defineProperties(process, { execPath: { value: ${JSON.stringify(program)} }, arch: { value: '${arch}' } })
      require('os').endianness = () => '${order}'
      require('module').syncBuiltinESMExports()`,
    )
    expect(platformIn(place.failure(fake).message)).toBe(`linux-${name}`)
  })

  test.runIf(process.platform === 'linux').each([
    ['hard', 'arm-gnueabihf'],
    ['softfp', 'arm-gnueabi'],
  ])('has the convention %s of the configuration if its program cannot be read', (convention, name) => {
    const place = new Installed()
    const fake = place.before(
      `Object.defineProperties(process, {
        execPath: { value: '/nonexistent' },
        arch: { value: 'arm' },
        config: { value: { variables: { arm_float_abi: '${convention}' } } },
      })
      process.report.getReport = () => ({ header: { glibcVersionRuntime: '2.36' } })`,
    )
    expect(platformIn(place.failure(fake).message)).toBe(`linux-${name}`)
  })

  test.runIf(process.platform === 'linux').each([
    ['{}', 'musl'],
    ['{ glibcVersionRuntime: "2.36" }', 'gnu'],
  ])('has the C library of the report %s if its program cannot be read', (header, libc) => {
    const place = new Installed()
    const fake = place.before(
      `process.execPath = '/nonexistent'; process.report.getReport = () => ({ header: ${header} })`,
    )
    expect(place.failure(fake).message).toContain(`for linux-${process.arch}-${libc} is not installed`)
  })
})

/** The headers of a 64-bit ELF file with one segment to load, of all bytes, and the name of a dynamic loader. */
function elf64({ machine = 62, interpreter = '', isBig = false }): Buffer {
  const name = Buffer.from(`${interpreter}\0`)
  const bytes = Buffer.alloc(64 + 2 * 56 + name.length)
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, isBig ? 2 : 1, 1])
  view.setUint16(18, machine, !isBig)
  view.setBigUint64(32, 64n, !isBig)
  view.setUint16(54, 56, !isBig)
  view.setUint16(56, 2, !isBig)
  const segments = [
    [1, 0, bytes.length],
    [3, bytes.length - name.length, name.length],
  ] as const
  for (const [index, [type, offset, size]] of segments.entries()) {
    view.setUint32(64 + index * 56, type, !isBig)
    view.setBigUint64(64 + index * 56 + 8, BigInt(offset), !isBig)
    view.setBigUint64(64 + index * 56 + 32, BigInt(size), !isBig)
  }
  bytes.set(name, bytes.length - name.length)
  return bytes
}

describe('an addon that cannot be loaded', () => {
  it.each([[permissions, "Node's permission model does not allow addons: run node with --allow-addons"]])(
    'under the permission model is described with its option',
    (flag, remedy) => {
      const place = new Installed(readFileSync(built))
      const error = {
        code: 'ERR_EVENT_ADDON_FORBIDDEN',
        message: `The native addon cannot be loaded, because ${remedy}`,
      }
      expect(place.failure({ flags: [flag, '--allow-fs-read=*'] })).toEqual(error)
      expect(place.run('app.mjs', [], { flags: [flag, '--allow-fs-read=*', '--allow-addons'] })).toEqual([
        0,
        'loaded\n',
        '',
      ])
    },
  )

  it('without addons is described with the option', () => {
    const place = new Installed(readFileSync(built))
    expect(place.failure({ flags: ['--no-addons'] })).toEqual({
      code: 'ERR_EVENT_ADDON_FORBIDDEN',
      message: 'The native addon cannot be loaded, because addons are disabled: run node without --no-addons',
    })
  })

  test.runIf(isElf).each([
    ['cut in its middle', readFileSync(built).subarray(0, 500_000), /it has 500000 bytes of at least \d{7}/],
    ['cut in its headers', readFileSync(built).subarray(0, 100), /it has 100 bytes of at least \d+/],
    ['cut in its first header', readFileSync(built).subarray(0, 20), /it has 20 bytes of at least 64/],
    ['empty', Buffer.alloc(0), /it is not an ELF file/],
    ['a text', Buffer.from('this is not an addon'), /it is not an ELF file/],
  ])('is not handed to the system if it is %s', (_name, bytes, reason) => {
    const place = new Installed(bytes)
    const { code, message } = place.failure()
    expect(code).toBe('ERR_EVENT_ADDON_DAMAGED')
    expect(message).toMatch(reason)
    expect(message).toContain(`The native addon ${place.addon} is damaged: `)
    expect(message).toContain(`; ${REINSTALL}`)
  })

  test.runIf(isElf).each([
    ['arm64', 'x64', elf64({ machine: process.arch === 'arm64' ? 62 : 183 })],
    ['s390x', 's390x', elf64({ machine: 22, isBig: true })],
    ['another processor', 'another processor', elf64({ machine: 4711 })],
  ])('names the processor %s', (here, there, bytes) => {
    const place = new Installed(bytes)
    const name = process.arch === 'arm64' ? there : here
    expect(place.failure()).toEqual({
      code: 'ERR_EVENT_ADDON_FOREIGN',
      message: `The native addon ${place.addon} is for ${name}, and this process runs on ${process.arch}; ${REINSTALL}`,
    })
  })

  test.runIf(isElf)('of 32 bits names its processor', () => {
    const bytes = Buffer.alloc(52)
    bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1])
    bytes.writeUInt16LE(40, 18)
    expect(new Installed(Buffer.concat([bytes, Buffer.alloc(12)])).failure().message).toContain(
      ' is for arm, ',
    )
  })

  test.runIf(isGlibc)('for a newer glibc names the needed version and the present one', () => {
    const { header } = process.report.getReport() as { header: { glibcVersionRuntime: string } }
    const place = new Installed(withNewerGlibc(readFileSync(built)))
    expect(place.failure()).toEqual({
      code: 'ERR_EVENT_ADDON_SYSTEM',
      message:
        `The native addon ${place.addon} needs glibc 2.99, and this system has ${header.glibcVersionRuntime}: ` +
        'update the system, or build the addon from source',
    })
  })

  it('of another version is refused', () => {
    const place = new Installed(readFileSync(built))
    const list = join(place.folder, 'node_modules/event-base/dist/ts/addon/platforms.js')
    writeFileSync(list, readFileSync(list, 'utf8').replace(`'${VERSION}'`, `'9.8.7'`))
    expect(place.failure()).toEqual({
      code: 'ERR_EVENT_ADDON_VERSION',
      message:
        `The native addon ${place.addon} is of version ${VERSION}, and event-base of version 9.8.7: ` +
        'install both in the same version',
    })
  })

  it('that is a library of another kind is refused', () => {
    const { sharedObjects } = process.report.getReport() as { sharedObjects: string[] }
    const library = sharedObjects.find(
      (path) => /\/lib[^/]*\.(?:so|dylib)[^/]*$/.test(path) && existsSync(path),
    )
    const { code, message } = new Installed(readFileSync(library ?? '')).failure()
    expect(code).toBe('ERR_EVENT_ADDON_DAMAGED')
    expect(message).toMatch(
      /did not self-register: .*; the file is damaged, or not an addon: delete node_modules/,
    )
  })
})

/** An addon that needs a version of glibc that does not exist, in place of the newest that it needs. */
function withNewerGlibc(addon: Buffer): Buffer {
  const text = addon.toString('latin1')
  const minors = [...text.matchAll(/GLIBC_2\.(\d\d)\0/g)].map(([, minor]) => Number(minor))
  return Buffer.from(text.replaceAll(`GLIBC_2.${Math.max(...minors)}\0`, 'GLIBC_2.99\0'), 'latin1')
}

describe('a reason of a system that the specs cannot produce', () => {
  const file = '/home/undefined symbol/GLIBC/a.node'

  test.each([
    [
      'FOREIGN',
      `libc.musl-x86_64.so.1: cannot open shared object file: No such file or directory`,
      /C library/,
    ],
    ['FOREIGN', `Error loading shared library ld-linux-x86-64.so.2: No such file or directory`, /C library/],
    ['SYSTEM', `libgcc_s.so.1: cannot open shared object file: No such file or directory`, /install this/],
    [
      'SYSTEM',
      `Error loading shared library libgcc_s.so.1: No such file (needed by ${file})`,
      /install this/,
    ],
    ['SYSTEM', `Error relocating ${file}: epoll_pwait2: symbol not found`, /older than the addon needs/],
    ['SYSTEM', `${file}: undefined symbol: napi_create_buffer_new`, /older than the addon needs/],
    ['SYSTEM', `dlopen(${file}, 0x0001): Symbol not found: _kevent128`, /older than the addon needs/],
    [
      'FOREIGN',
      `dlopen(${file}, 0x0001): tried: '${file}' (mach-o file, but is an incompatible architecture)`,
      /./,
    ],
    ['FOREIGN', `Error loading shared library ${file}: Exec format error`, /another processor/],
    ['DAMAGED', `dlopen(${file}, 0x0001): tried: '${file}' (not a mach-o file)`, /damaged/],
    ['DAMAGED', `${file}: object file has no loadable segments`, /damaged/],
    ['FORBIDDEN', `${file}: cannot open shared object file: Permission denied`, /make the file readable/],
    ['FORBIDDEN', `${file}: failed to map segment from shared object: Operation not permitted`, /noexec/],
    ['FAILED', `something new.\nwith details`, /cannot be loaded: something new$/],
  ])('is %s: %s', (kind, text, expected) => {
    const cause = new Error(text)
    const error = dlopenError(file, cause)
    expect(error).toMatchObject({ code: `ERR_EVENT_ADDON_${kind}`, cause })
    expect(error.message).toMatch(expected)
    expect(error.message).not.toContain('\n')
    expect(error.message.split(file)).toHaveLength(2)
  })

  test('reading that the permission model forbids is described with its option', () => {
    const cause = Object.assign(new Error('Access to this API has been restricted'), {
      code: 'ERR_ACCESS_DENIED',
    })
    expect(dlopenError(file, cause)).toMatchObject({
      code: 'ERR_EVENT_ADDON_FORBIDDEN',
      message: expect.stringContaining(`run node with --allow-fs-read=${file}`) as string,
    })
  })
})
