/**
 * Reads keys from a terminal in raw mode and prints their names. An Escape is the Escape key if no byte follows within a
 * timeout; otherwise it starts the sequence of another key.
 *
 *     npx tsx examples/tty-reader.ts
 *
 * On macOS kqueue cannot watch /dev/tty; use poll or select (`EVENT_NOKQUEUE=1`).
 */

import { closeSync, constants, openSync } from 'node:fs'
import { isatty, ReadStream } from 'node:tty'

import { EV, EventBase } from '../index.js'
import { socket } from '../net.js'
import { main, parseCount, runUntilStopped, UsageError } from './shared/command.js'
import { Keys } from './shared/keys.js'

const USAGE = `
usage: tty-reader.ts [--escape-delay MS] [PATH]

Prints the name of each key that is pressed on a terminal, until Ctrl+C or Ctrl+D, SIGINT
or SIGTERM. PATH is the terminal's (default /dev/tty).
  --escape-delay MS  time limit for the rest of an escape sequence (default 50)
`

/** Opens a terminal, not as the controlling one, and without waiting for a carrier. */
function open(path: string): number {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  if (isatty(fd)) return fd
  closeSync(fd)
  throw new Error(`${path} is not a terminal`)
}

const options = { 'escape-delay': { type: 'string', default: '50' } } as const

await main(import.meta.url, USAGE, options, async (values, [path = '/dev/tty', ...others]) => {
  if (others.length > 0) throw new UsageError(`one PATH is expected, unexpected "${others.join(' ')}"`)
  const delay = parseCount('--escape-delay', values['escape-delay'], 0, 10_000)
  const base = new EventBase()
  const fd = open(path)
  // Node sets the mode of the terminal and restores it at the exit of the process. It does not read from this stream,
  // which has a descriptor of its own.
  const terminal = new ReadStream(open(path))
  const buffer = Buffer.alloc(1024)
  const keys = new Keys()

  const print = (names: readonly string[]): void => {
    for (const name of names) {
      console.log(name)
      if (name === 'Ctrl+C' || name === 'Ctrl+D') base.loopBreak()
    }
  }
  const alone = base.newTimer(() => print(keys.flush()))
  let failure: Error | undefined

  const read = (): void => {
    const count = socket.read(fd, buffer)
    if (count < 0) return
    if (count === 0) {
      // The terminal has hung up.
      base.loopBreak()
      return
    }
    print(keys.add(buffer.subarray(0, count)))
    if (keys.torn) alone.add(delay)
    else alone.del()
  }
  const event = base.newEvent(fd, EV.READ | EV.PERSIST, () => {
    try {
      read()
    } catch (error) {
      // For example EIO, if the other side of a pseudo terminal was closed.
      failure = error as Error
      base.loopBreak()
    }
  })

  terminal.setRawMode(true)
  try {
    event.add()
    const stopped = runUntilStopped(base)
    console.log('press keys; Ctrl+D ends')
    await stopped
  } finally {
    terminal.setRawMode(false)
    terminal.destroy()
    socket.close(fd)
  }
  if (failure !== undefined) throw failure
})
