import { spawn } from 'node:child_process'
import { existsSync, unlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'

import { EV } from '../../index.js'
import { inheritedDescriptors, listen, socket } from '../../net.js'
import { isOpen } from '../../scripts/lib/system.mjs'
import { anyPort, baseOn, dial, folder, openDescriptors, portOf, running, thrown, until } from './support.js'

const fixture = fileURLToPath(new URL('../fixtures/activated.ts', import.meta.url))
describe('an inherited descriptor', () => {
  test('accepts connections, and is closed with its listener', async () => {
    const base = await running()
    const before = openDescriptors()
    const fd = socket.listen(anyPort)
    socket.setNonblocking(fd, false)
    let accepted = 0
    const listener = listen(base, { fd }, (connection) => {
      accepted += 1
      socket.close(connection)
    })
    expect(listener.address).toEqual(socket.address(fd))
    await dial(portOf(listener.address))
    await until(() => accepted === 1)
    listener.close()
    expect(thrown(() => socket.address(fd))).toMatchObject({ code: 'EBADF' })
    await until(() => openDescriptors() <= before + 1, 'every descriptor but the client to be closed')
  })

  test('keeps its path when its listener is closed', () => {
    const base = baseOn()
    const path = `${folder()}/listening`
    const listener = listen(base, { fd: socket.listen({ path }) }, () => {})
    expect(listener.address).toEqual({ path })
    listener.close()
    expect(existsSync(path)).toBe(true)
    unlinkSync(path)
  })

  test('starts to listen if a backlog is given', async () => {
    const base = await running()
    // On Linux shutdown(2) makes a listening socket bound and not listening.
    const fd = socket.listen(anyPort)
    socket.shutdown(fd, 'read')
    expect(thrown(() => listen(base, { fd }, () => {}))).toMatchObject({
      code: 'EINVAL',
      syscall: 'getsockopt',
    })
    let accepted = 0
    const listener = listen(base, { fd, backlog: 5 }, (connection) => {
      accepted += 1
      socket.close(connection)
    })
    await dial(portOf(listener.address))
    await until(() => accepted === 1)
  })

  test('that the base refuses stays open', () => {
    const base = baseOn()
    const fd = socket.listen(anyPort)
    const event = base.newEvent(fd, EV.READ | EV.ET, () => {}).add()
    const refused = { code: 'ERR_EVENT_BAD_FLAGS' }
    expect(thrown(() => listen(base, { fd }, () => {}))).toMatchObject(refused)
    expect(isOpen(fd)).toBe(true)
    event.close()
    expect(listen(base, { fd }, () => {}).fd).toBe(fd)
  })

  test('that does not listen is refused, and stays open', () => {
    const base = baseOn()
    const [read, write] = socket.pipe()
    const [one, other] = socket.pair()
    expect(thrown(() => listen(base, { fd: read }, () => {}))).toMatchObject({ code: 'ENOTSOCK', fd: read })
    expect(thrown(() => listen(base, { fd: one }, () => {}))).toMatchObject({ code: 'EINVAL', fd: one })
    expect(thrown(() => listen(base, { fd: one, backlog: 1 }, () => {}))).toMatchObject({
      code: 'EINVAL',
      syscall: 'listen',
    })
    for (const fd of [read, write, one, other]) socket.close(fd)
    expect(thrown(() => listen(base, { fd: read }, () => {}))).toMatchObject({ code: 'EBADF', fd: read })
    for (const [fd, code] of [
      [-1, 'ERR_OUT_OF_RANGE'],
      ['3', 'ERR_INVALID_ARG_TYPE'],
    ] as const) {
      expect(thrown(() => listen(base, { fd: fd as never }, () => {}))).toMatchObject({ code })
    }
    const fd = socket.listen(anyPort)
    expect(thrown(() => listen(base, { fd, backlog: -2 }, () => {}))).toMatchObject({
      code: 'ERR_OUT_OF_RANGE',
    })
    socket.close(fd)
  })
})

describe('the variables of a service manager', () => {
  const names = ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']
  let old: (string | undefined)[]

  beforeEach(() => {
    old = names.map((name) => process.env[name])
    for (const name of names) delete process.env[name]
  })
  afterEach(() => {
    names.forEach((name, index) => {
      if (old[index] === undefined) delete process.env[name]
      else process.env[name] = old[index]
    })
  })

  test('that are missing, or for another process, yield no descriptors', () => {
    expect(inheritedDescriptors()).toEqual([])
    process.env['LISTEN_FDS'] = '1'
    expect(inheritedDescriptors()).toEqual([])
    process.env['LISTEN_PID'] = String(process.pid + 1)
    expect(inheritedDescriptors()).toEqual([])
    expect(process.env['LISTEN_FDS']).toBe('1')
    expect(inheritedDescriptors({ unset: true })).toEqual([])
    expect(names.filter((name) => name in process.env)).toEqual([])
  })

  test.each([
    ['no number', { LISTEN_FDS: 'two' }],
    ['a negative one', { LISTEN_FDS: '-1' }],
    ['one too many', { LISTEN_FDS: '2147483647' }],
    ['nothing', { LISTEN_FDS: '' }],
    ['a pid of 0', { LISTEN_FDS: '1', LISTEN_PID: '0' }],
    ['a pid of text', { LISTEN_FDS: '1', LISTEN_PID: 'me' }],
    ['too many names', { LISTEN_FDS: '1', LISTEN_FDNAMES: 'a:b' }],
  ])('with invalid values are refused: %s', (_what, variables) => {
    Object.assign(process.env, { LISTEN_PID: String(process.pid) }, variables)
    expect(thrown(() => inheritedDescriptors())).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
  })

  test('with more descriptors than are open are refused, and so is an option of the wrong type', () => {
    Object.assign(process.env, { LISTEN_PID: String(process.pid), LISTEN_FDS: '2000000000' })
    expect(thrown(() => inheritedDescriptors())).toMatchObject({ code: 'EBADF', syscall: 'fcntl' })
    expect(thrown(() => inheritedDescriptors({ unset: 1 as never }))).toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
    })
    process.env['LISTEN_FDS'] = '0'
    process.env['LISTEN_FDNAMES'] = ''
    expect(inheritedDescriptors()).toEqual([])
  })
})

test('an activated process serves on the inherited descriptor, which its children do not inherit', async () => {
  const web = socket.listen(anyPort)
  const listening = [web, socket.listen({ path: `${folder()}/listening` })]
  const port = portOf(socket.address(web))
  onTestFinished(() => listening.forEach((fd) => socket.close(fd)))
  // After `exec` the program has the process id of the shell.
  const script = 'LISTEN_FDS=2 LISTEN_FDNAMES=web:admin LISTEN_PID=$$ exec "$0" --import tsx "$1"'
  const child = spawn('sh', ['-c', script, process.execPath, fixture], {
    stdio: ['ignore', 'pipe', 'inherit', ...listening],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let output = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text))
  await until(() => output.endsWith('\n'), 'the child')
  expect(JSON.parse(output)).toEqual({
    inherited: [
      { fd: 3, name: 'web' },
      { fd: 4, name: 'admin' },
    ],
    port,
    left: [],
    openInChild: [],
  })
  const client = await dial(port)
  const answer = await new Promise((resolve) => client.once('data', (data) => resolve(data.toString())))
  expect(answer).toBe('activated')
})
