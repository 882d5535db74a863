import { constants } from 'node:os'
import { Writable } from 'node:stream'

import { expect, onTestFinished, test } from 'vitest'

import { socket } from '../../net.js'
import { Output } from '../../ts/cli/output.js'
import { reportOn } from '../../ts/cli/report.js'
import { closedPort, dialToReset, portOf, sleep, until } from '../net/support.js'
import { hasHandler, reportsHandlers } from '../../scripts/lib/system.mjs'
import { commandOf, hasTerminals, OnTerminal } from '../support/terminal.js'
import { Running } from './support.js'

test.each([
  ['pipe', () => socket.pipe()],
  ['socket', () => socket.pair()],
] as const)('SIGTERM ends the process while its stderr is a full %s without a reader', async (_, pair) => {
  const [reader, writer] = pair()
  onTestFinished(() => socket.close(reader))
  for (const size of [65_536, 1]) while (socket.write(writer, Buffer.alloc(size)) > 0);
  const where = ['--listen', '127.0.0.1:0', '--upstream', `127.0.0.1:${closedPort()}`, '--stats']
  const running = new Running('ts/cli/main.ts', ['proxy', ...where], [], writer)
  socket.close(writer)
  const [, port] = await running.waitForOutput(/listening at 127\.0\.0\.1:(\d+)/)
  // Each one is a problem to report.
  for (let round = 0; round < 3; round++) await dialToReset(Number(port))
  running.process.kill('SIGTERM')
  expect(await running.ended).toMatchObject({ code: 0, signal: null })
})

test('a stderr that another process made blocking does not block the process', async () => {
  const [reader, writer] = socket.pipe()
  onTestFinished(() => {
    for (const fd of [reader, writer]) socket.close(fd)
  })
  for (const size of [65_536, 1]) while (socket.write(writer, Buffer.alloc(size)) > 0);
  const where = ['--listen', '127.0.0.1:0', '--upstream', `127.0.0.1:${closedPort()}`, '--stats']
  const running = new Running('ts/cli/main.ts', ['proxy', ...where], [], writer)
  const [, port] = await running.waitForOutput(/listening at 127\.0\.0\.1:(\d+)/)
  // The process has the same open file description.
  socket.setNonblocking(writer, false)
  for (let round = 0; round < 3; round++) await dialToReset(Number(port))
  running.process.kill('SIGTERM')
  expect(await running.ended).toMatchObject({ code: 0, signal: null })
})

/** The command `proxy` on a terminal, which prints its process first. */
class ProxyOnTerminal extends OnTerminal {
  /** @param before a command of the shell that precedes it */
  constructor(before: string, listen: string, ...more: string[]) {
    const where = ['--listen', listen, '--upstream', `127.0.0.1:${closedPort()}`]
    super(`echo pid $$; ${before}; exec ${commandOf('ts/cli/main.ts', 'proxy', ...where, ...more)}`)
  }

  get pid(): number {
    return Number(/pid (\d+)/.exec(this.out)?.[1])
  }
}

const STOP = '\x13'

test.runIf(hasTerminals)('SIGTERM ends the process while its terminal is stopped', async () => {
  const terminal = new ProxyOnTerminal('true', '127.0.0.1:0', '--stats')
  await until(() => terminal.out.includes('up 0:00:0'), 'the table')
  terminal.type(STOP)
  let length = -1
  while (length !== (length = terminal.out.length)) await sleep(2500)
  process.kill(terminal.pid, 'SIGTERM')
  expect(await terminal.ended).toBe(0)
})

test.runIf(hasTerminals && reportsHandlers)(
  'SIGTERM ends the process whose terminal was stopped before it started',
  async () => {
    const reserved = socket.listen({ host: '127.0.0.1', port: 0 })
    const port = portOf(socket.address(reserved))
    socket.close(reserved)
    const terminal = new ProxyOnTerminal('read line', `127.0.0.1:${port}`)
    await until(() => /pid \d+/.test(terminal.out), 'the shell')
    terminal.type(`${STOP}\n`)
    await until(() => hasHandler(constants.signals.SIGHUP, terminal.pid), 'the handlers')
    process.kill(terminal.pid, 'SIGTERM')
    expect(await terminal.ended).toBe(0)
    expect(terminal.out).not.toContain('listening')
  },
)

/** A stream without a reader, until `read` is called. */
class Unread extends Writable {
  readonly fd = -1
  readonly isTTY = false
  text = ''
  #callbacks: (() => void)[] = []

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this.text += String(chunk)
    this.#callbacks.push(callback)
  }

  read(): void {
    for (const callback of this.#callbacks.splice(0)) callback()
  }
}

function outputOn(stream: Unread): Output {
  return new Output(stream as unknown as ConstructorParameters<typeof Output>[0])
}

/** Reads all that is pending. */
async function readAll(stream: Unread): Promise<void> {
  while (stream.writableLength > 0) {
    stream.read()
    await sleep(0)
  }
}

test('output that a reader does not read is bounded, and the number of dropped messages precedes the next one', async () => {
  const stream = new Unread()
  const out = outputOn(stream)
  const message = `${'x'.repeat(999)}\n`
  let written = 0
  while (out.write(message)) written += 1
  expect(written).toBe(65)
  expect(stream.writableLength).toBeLessThanOrEqual(65_536)
  expect([out.write(message), out.write(message)]).toEqual([false, false])
  await readAll(stream)
  expect(out.write('the next\n')).toBe(true)
  await readAll(stream)
  expect(stream.text).toBe(`${message.repeat(65)}3 messages were dropped\nthe next\n`)
})

test('with --stats the number of dropped messages is a line of JSON', async () => {
  const stream = new Unread()
  const report = reportOn(outputOn(stream), true)
  const problem = { kind: 'upstreamUp', upstream: 'x'.repeat(999) } as const
  for (let round = 0; round < 70; round++) report.problem(problem)
  await readAll(stream)
  report.problem(problem)
  await readAll(stream)
  const lines = stream.text.trimEnd().split('\n')
  const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  const [dropped, last] = parsed.slice(-2)
  expect(dropped).toMatchObject({ type: 'dropped', lines: 70 - (parsed.length - 2) })
  expect(last).toMatchObject({ type: 'problem', ...problem })
})

test('the end of the process does not wait for a reader that reads nothing', async () => {
  const stream = new Unread()
  const out = outputOn(stream)
  out.write('never read\n')
  await out.close()
  expect(stream.writableLength).toBe(11)
})
