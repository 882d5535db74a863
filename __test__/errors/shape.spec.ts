import { once } from 'node:events'
import { readSync } from 'node:fs'
import { connect as connectInNode, createServer, type AddressInfo } from 'node:net'
import { getSystemErrorName, inspect } from 'node:util'

import { describe, expect, it, onTestFinished } from 'vitest'

import { EV, type EventBase, EventConfig, EventError, type SystemError } from '../../index.js'
import { connect, listen, proxy, socket } from '../../net.js'
import { never, openBase } from '../support/base.js'
import { runFixture } from '../support/child.js'
import { asSystemError, refusal, rejectionOf, thrownBy } from '../support/errors.js'

/** A port at which nothing listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** What Node's own errors and those of the package have in common. */
function describeError(error: unknown): object {
  const { message, code, errno, syscall, address, port } = error as SystemError
  return { message, code, errno, syscall, address, port }
}

/** Values whose name in a message user code determines. */
const unnameable: [string, unknown][] = [
  ['a function whose name is a symbol', Object.defineProperty(() => {}, 'name', { value: Symbol('name') })],
  [
    'an object of a class whose name is a symbol',
    Object.create({ constructor: Object.defineProperty(() => {}, 'name', { value: Symbol('name') }) }),
  ],
  [
    'an object whose constructor is a getter that throws',
    Object.defineProperty({}, 'constructor', { get: never }),
  ],
  ['a proxy that was revoked', revoked({})],
  ['a proxy of a function that was revoked', revoked(() => {})],
]

function revoked<T extends object>(target: T): T {
  const made = Proxy.revocable(target, {})
  made.revoke()
  return made.proxy
}

describe('a refusal', () => {
  it.each(unnameable)('has a code for %s', (_name, value) => {
    const base = openBase()
    expect(refusal(() => base.setPriorities(value as number))).toBe('ERR_INVALID_ARG_TYPE')
    expect(refusal(() => new EventConfig().avoidMethod(value as string))).toBe('ERR_INVALID_ARG_TYPE')
    const target = { host: '127.0.0.1', port: 0, path: undefined, balance: value, upstream: value }
    expect(refusal(() => socket.shutdown(0, value as 'read'))).toBe('ERR_INVALID_ARG_TYPE')
    return expect(proxy({ listen: target, ...target } as never)).rejects.toMatchObject({
      code: 'ERR_OUT_OF_RANGE',
    })
  })

  it('is an EventError with a code and a message', () => {
    const base = openBase()
    base.close()
    const error = thrownBy(() => base.dispatch())
    expect(error).toBeInstanceOf(EventError)
    expect(error).toBeInstanceOf(Error)
    const { name, code, message, stack } = error as EventError
    expect({ name, code }).toEqual({ name: 'EventError', code: 'ERR_EVENT_CLOSED' })
    expect(message).not.toBe('')
    expect(stack).toContain('EventError: ')
  })

  it('has the same shape when the engine throws it', () => {
    const base = openBase()
    const event = base.newTimer(() => {}).activate()
    const error = thrownBy(() => (event.priority = 0)) as EventError
    expect(error).toBeInstanceOf(EventError)
    expect({ name: error.name, code: error.code }).toEqual({ name: 'EventError', code: 'ERR_EVENT_ACTIVE' })
    expect(error.message).not.toBe('')
    expect(error.stack).toContain(import.meta.filename)
  })

  it('shows no property but its code', () => {
    const error = thrownBy(() => openBase().newTimer(undefined as never)) as EventError
    expect(Object.keys(error)).toEqual(['code'])
    expect(error.message).toContain('"callback"')
    expect(error.message).toContain('undefined')
  })
})

/** The file of the first frame of an error's stack. */
function firstFrame(error: unknown): string {
  return (error as Error).stack?.split('\n').find((line) => line.startsWith('    at ')) ?? ''
}

describe('the stack of an error starts at the caller of the package', () => {
  const calls: [string, (base: EventBase) => unknown][] = [
    ['a check', (base) => base.newTimer('' as never)],
    ['a check of a setter', (base) => (base.newTimer(never).priority = 9)],
    ['a refusal of the engine', (base) => base.newTimer(never).activate().finalize().add()],
    ['a failed system call', (base) => base.newEvent(0x7fff_fff0, EV.READ, never).add()],
    ['a failed call of a socket', () => socket.read(0x7fff_fff0, Buffer.alloc(1))],
    ['a failed call with an address', () => socket.connect({ path: '/nowhere/at/all' })],
  ]
  it.each(calls)('%s', (_name, call) => {
    const base = openBase()
    expect(firstFrame(thrownBy(() => call(base)))).toContain(import.meta.filename)
  })

  it('in the compiled package', async () => {
    const { code, stdout } = await runFixture('stack.mjs')
    expect(code).toBe(0)
    const frames = stdout.trimEnd().split('\n')
    expect(frames).toHaveLength(3)
    for (const frame of frames) expect(frame).toContain('/__test__/fixtures/stack.mjs')
  })

  it('a call after close', () => {
    const closed = openBase()
    closed.close()
    expect(firstFrame(thrownBy(() => closed.dispatch()))).toContain(import.meta.filename)
  })

  it('a rejection', async () => {
    const error = await rejectionOf(openBase().run({ signal: 1 as never }))
    expect(firstFrame(error)).toContain(import.meta.filename)
  })
})

describe('an error', () => {
  it('keeps its code and its message if Error.prepareStackTrace throws', () => {
    const { prepareStackTrace } = Error
    onTestFinished(() => void (Error.prepareStackTrace = prepareStackTrace))
    const failure = new Error('no stack')
    Error.prepareStackTrace = () => {
      throw failure
    }
    const base = openBase()
    const refused = thrownBy(() => base.newTimer('' as never)) as EventError
    const failed = thrownBy(() => socket.connect({ path: '/nowhere/at/all' })) as SystemError
    expect(thrownBy(() => refused.stack)).toBe(failure)
    Error.prepareStackTrace = prepareStackTrace
    expect([refused.code, failed.code]).toEqual(['ERR_INVALID_ARG_TYPE', 'ENOENT'])
    expect(refused.message).toContain('"callback"')
    expect(failed.message).toBe('connect ENOENT /nowhere/at/all')
  })

  it('is passed to Error.prepareStackTrace with its name and its message', () => {
    const { prepareStackTrace } = Error
    onTestFinished(() => void (Error.prepareStackTrace = prepareStackTrace))
    Error.prepareStackTrace = (error, frames) => ({ text: String(error), count: frames.length })
    const { stack } = thrownBy(() => openBase().newTimer('' as never)) as { stack: unknown }
    expect(stack).toEqual({
      text: expect.stringContaining('EventError: The "callback"'),
      count: expect.any(Number),
    })
  })

  it('has a stack that starts with its message, that can be replaced, and that is not formatted before it is read', () => {
    const { prepareStackTrace } = Error
    onTestFinished(() => void (Error.prepareStackTrace = prepareStackTrace))
    let formatted = 0
    Error.prepareStackTrace = (error, frames) => {
      formatted += 1
      return `${error}\n    at ${frames.join('\n    at ')}`
    }
    const error = thrownBy(() => socket.connect({ path: '/nowhere/at/all' })) as SystemError
    expect(formatted).toBe(0)
    expect(error.stack).toMatch(/^Error: connect ENOENT \/nowhere\/at\/all\n {4}at /)
    expect(error.stack).toBe(error.stack)
    expect(formatted).toBe(1)
    for (const one of [error, thrownBy(() => openBase().newTimer('' as never)) as EventError]) {
      one.stack = 'another'
      expect(one.stack).toBe('another')
      expect(Object.keys(one)).not.toContain('stack')
    }
    expect(formatted).toBe(1)
  })

  it('that was frozen has the same stack', () => {
    for (const call of [
      () => openBase().newTimer('' as never),
      () => socket.connect({ path: '/nowhere/at/all' }),
    ]) {
      const error = thrownBy(call) as EventError | SystemError
      Object.freeze(error)
      expect(firstFrame(error)).toContain(import.meta.filename)
      expect(error.stack).toBe(error.stack)
      expect(inspect(error)).toContain(String(error.stack).split('\n', 1)[0])
      expect(thrownBy(() => (error.stack = 'another'))).toBeInstanceOf(TypeError)
    }
  })

  it('that is made where the stack overflows is that error or a RangeError, and the process continues', async () => {
    const { code, stdout } = await runFixture('stack-overflow.mjs')
    expect(code).toBe(0)
    expect(stdout).toBe('EBADF ERR_INVALID_ARG_TYPE ERR_OUT_OF_RANGE RangeError\ntrue\n')
  })

  it('does not change the number of frames that V8 captures', () => {
    const { stackTraceLimit } = Error
    thrownBy(() => openBase().newTimer('' as never))
    thrownBy(() => socket.connect({ path: '/nowhere/at/all' }))
    expect(Error.stackTraceLimit).toBe(stackTraceLimit)
    expect(stackTraceLimit).toBeGreaterThan(0)
  })

  it('has no stack if Error.stackTraceLimit is no number', () => {
    const { stackTraceLimit } = Error
    onTestFinished(() => void (Error.stackTraceLimit = stackTraceLimit))
    Error.stackTraceLimit = undefined as never
    const error = thrownBy(() => openBase().newTimer('' as never)) as EventError
    const failed = thrownBy(() => socket.connect({ path: '/nowhere/at/all' })) as SystemError
    Error.stackTraceLimit = stackTraceLimit
    expect([error.stack, failed.stack]).toEqual([undefined, undefined])
    expect(Object.create(error).stack).toBeUndefined()
    expect(error.code).toBe('ERR_INVALID_ARG_TYPE')
  })

  it('has a stack if the program has made Error.stackTraceLimit constant', async () => {
    const { code, stdout } = await runFixture('stack.mjs', 'constant')
    expect(code).toBe(0)
    expect(stdout.trimEnd().split('\n')).toHaveLength(3)
  })
})

describe('the message of a number out of range', () => {
  it('names both limits', () => {
    const { message } = thrownBy(() => socket.setOption(0, 'timeToLive', 1.5)) as Error
    expect(message).toContain('must be an integer')
    const error = thrownBy(() => socket.connect({ host: '127.0.0.1', port: 65_536 })) as Error
    expect(error.message).toBe(
      'The value of "target.port" is out of range. It must be >= 0 && <= 65535. Received 65536',
    )
  })

  it('names the option as the call does', () => {
    const target = { host: '127.0.0.1', port: 65_536 }
    expect((thrownBy(() => socket.listen(target)) as Error).message).toContain('"target.port"')
    expect((thrownBy(() => listen(openBase(), target, never)) as Error).message).toContain('"options.port"')
  })

  it('names the one value that is allowed, and what allows more', () => {
    const error = thrownBy(() => openBase().newTimer(never, { priority: 2 })) as EventError
    expect(error.code).toBe('ERR_OUT_OF_RANGE')
    expect(error.message).toContain('It must be 0: the base has 1 priority, see setPriorities()')
  })
})

describe('the message of a failed system call', () => {
  it('names the address as Node does', async () => {
    const free = await closedPort()
    const node = await rejectionOf(once(connectInNode(free, '127.0.0.1'), 'connect'))
    const base = openBase()
    const running = base.run()
    const ours = await rejectionOf(connect(base, { host: '127.0.0.1', port: free }))
    base.close()
    await running
    expect(describeError(ours)).toEqual(describeError(node))
  })

  it('names the path as Node does', async () => {
    const node = await rejectionOf(once(connectInNode('/nowhere/at/all'), 'connect'))
    expect(describeError(thrownBy(() => socket.connect({ path: '/nowhere/at/all' })))).toEqual(
      describeError(node),
    )
  })

  it('describes what is wrong with an address to bind, as Node does', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const second = createServer().listen(port, '127.0.0.1')
    const [node] = (await once(second, 'error')) as [Error]
    const ours = thrownBy(() => socket.listen({ host: '127.0.0.1', port })) as SystemError
    server.close()
    expect(describeError(ours)).toEqual({
      ...describeError(node),
      syscall: ours.syscall,
      message: node.message.replace('listen', ours.syscall),
    })
  })

  it('names the descriptor where there is no address, in the words of Node', () => {
    const fd = 0x7fff_fff0
    const node = thrownBy(() => readSync(fd, Buffer.alloc(1))) as Error
    expect((thrownBy(() => socket.read(fd, Buffer.alloc(1))) as Error).message).toBe(
      `${node.message} fd ${fd}`,
    )
  })
})

describe('a failed system call', () => {
  it("is an Error with Node's properties", () => {
    const error = asSystemError(thrownBy(() => openBase().newEvent(0x7fff_fff0, EV.READ, never).add()))
    expect(error.name).toBe('Error')
    expect(Object.keys(error).toSorted()).toEqual(['code', 'errno', 'fd', 'syscall'])
    expect(getSystemErrorName(error.errno)).toBe(error.code)
    expect([error.code, error.fd]).toEqual(['EBADF', 0x7fff_fff0])
    expect(error.message).toContain(error.code)
    expect(error.message).toContain(error.syscall)
    expect(error.message).toContain(String(error.fd))
  })
})
