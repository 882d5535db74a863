/**
 * Reads a Linux input device (evdev): a keyboard, a mouse, a touch screen or the like.
 *
 *     sudo npx tsx examples/input-reader.ts /dev/input/event0
 *
 * Needs a 64-bit machine, because the layout of the records depends on the word size.
 */

import { closeSync, constants, fstatSync, openSync } from 'node:fs'

import { EV, EventBase } from '../index.js'
import { socket } from '../net.js'
import { main, onlyArgument, runUntilStopped } from './shared/command.js'
import { InputEvents, RECORD, typeName } from './shared/input-events.js'

const USAGE = `
usage: input-reader.ts PATH

Prints each report of the input device at PATH (or of a FIFO with such records) as a line
of JSON, until it ends or is removed, or until SIGINT or SIGTERM.
`

function open(path: string): number {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const found = fstatSync(fd)
  if (found.isCharacterDevice() || found.isFIFO()) return fd
  closeSync(fd)
  throw new Error(`${path} is not a device`)
}

await main(import.meta.url, USAGE, {}, async (_values, positionals) => {
  const fd = open(onlyArgument('PATH', positionals))
  const base = new EventBase()
  // A device returns whole records and refuses a buffer that is smaller than one.
  const buffer = Buffer.alloc(64 * RECORD)
  const input = new InputEvents()
  let failure: Error | undefined

  const read = (): void => {
    const count = socket.read(fd, buffer)
    if (count < 0) return
    if (count === 0) {
      if (input.torn) failure = new Error('the device ended in the middle of a report')
      base.loopBreak()
      return
    }
    const before = input.dropped
    for (const report of input.add(buffer.subarray(0, count))) {
      const events = report.map(({ type, code, value }) => ({ type: typeName(type), code, value }))
      console.log(JSON.stringify({ time: report[0]?.time, events }))
    }
    if (input.dropped > before) console.error('reports were dropped: the reader is too slow')
  }

  base
    .newEvent(fd, EV.READ | EV.PERSIST, () => {
      try {
        read()
      } catch (error) {
        // For example ENODEV, if the device was unplugged.
        failure = error as Error
        base.loopBreak()
      }
    })
    .add()
  const stopped = runUntilStopped(base)
  console.error('reading')
  await stopped
  socket.close(fd)
  if (failure !== undefined) throw failure
})
