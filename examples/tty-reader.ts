/**
 * Reads keys from a terminal in raw mode, and names them. An Escape that nothing follows for a moment is the key of
 * that name; else it begins another key's sequence: a timer of the base decides.
 *
 *     npx tsx examples/tty-reader.ts
 *
 * macOS: /dev/tty cannot be watched by kqueue there; poll and select can (`EVENT_NOKQUEUE=1`).
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
  --escape-delay MS  how long an Escape waits for what may follow it (default 50)
`

/** Opens a terminal. Not as the one that controls this process, and without waiting for a carrier. */
function open(path: string): number {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  if (isatty(fd)) return fd
  closeSync(fd)
  throw new Error(`${path} is no terminal`)
}

const options = { 'escape-delay': { type: 'string', default: '50' } } as const

await main(import.meta.url, USAGE, options, async (values, [path = '/dev/tty', ...others]) => {
  if (others.length > 0) throw new UsageError(`only one PATH is taken, not "${others.join(' ')}" too`)
  const delay = parseCount('--escape-delay', values['escape-delay'], 0, 10_000)
  const base = new EventBase()
  const fd = open(path)
  // Node knows how to change a terminal's mode, and changes it back when the process ends in its own way. It never
  // reads from this stream, which has a descriptor of its own.
  const terminal = new ReadStream(open(path))
  const buffer = Buffer.alloc(1024)
  const keys = new Keys()

  const tell = (names: readonly string[]): void => {
    for (const name of names) {
      console.log(name)
      if (name === 'Ctrl+C' || name === 'Ctrl+D') base.loopBreak()
    }
  }
  const alone = base.newTimer(() => tell(keys.flush()))
  const event = base.newEvent(fd, EV.READ | EV.PERSIST, () => {
    const count = socket.read(fd, buffer)
    if (count < 0) return
    if (count === 0) {
      // The terminal has hung up.
      base.loopBreak()
      return
    }
    tell(keys.add(buffer.subarray(0, count)))
    if (keys.torn) alone.add(delay)
    else alone.del()
  })

  terminal.setRawMode(true)
  try {
    event.add()
    const stopped = runUntilStopped(base)
    console.log('press keys, and Ctrl+D to end')
    await stopped
  } finally {
    terminal.setRawMode(false)
    terminal.destroy()
    socket.close(fd)
  }
})
