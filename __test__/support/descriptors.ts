import { onTestFinished } from 'vitest'

import { socket } from '../../net.js'

const owned = new Set<number>()

function own<T extends readonly number[]>(fds: T): T {
  for (const fd of fds) owned.add(fd)
  onTestFinished(() => fds.filter((fd) => owned.has(fd)).forEach(close))
  return fds
}

/** Two connected sockets, closed at the end of the test unless the test closes them. */
export function openPair(): [number, number] {
  return own(socket.pair())
}

/** Closes a descriptor and opens a pair whose first end has its number. */
export function reopenAsPair(fd: number): [number, number] {
  close(fd)
  return openPairAt(fd)
}

/** Opens a pair whose first end gets a number that is free. Retries while another thread uses the number. */
export function openPairAt(fd: number): [number, number] {
  for (let attempt = 0; attempt < 1000; attempt += 1) {
    const pair = openPair()
    if (pair[0] === fd) return pair
    pair.forEach(close)
  }
  throw new Error(`the number ${fd} is not free again`)
}

/** A pipe, `[read, write]`. Closed like a pair. */
export function openPipe(): [number, number] {
  return own(socket.pipe())
}

/** Closes an end of a pair or a pipe. */
export function close(fd: number): void {
  owned.delete(fd)
  socket.close(fd)
}

/** Writes a text that the descriptor accepts as a whole. */
export function writeText(fd: number, text: string): void {
  const taken = socket.write(fd, Buffer.from(text))
  if (taken !== text.length) throw new Error(`only ${taken} bytes were written`)
}

/** Reads what has arrived: a text, `''` at the end of the stream, `undefined` if there is nothing. */
export function readText(fd: number): string | undefined {
  const buffer = Buffer.alloc(65_536)
  const count = socket.read(fd, buffer)
  return count < 0 ? undefined : buffer.toString('latin1', 0, count)
}

/** Writes until the descriptor accepts no more; returns the number of bytes. */
export function fill(fd: number): number {
  const buffer = Buffer.alloc(65_536)
  let sum = 0
  for (let taken = 0; taken >= 0; taken = socket.write(fd, buffer)) sum += taken
  return sum
}

/** Reads until there is nothing; returns the number of bytes. */
export function empty(fd: number): number {
  const buffer = Buffer.alloc(65_536)
  let sum = 0
  for (let count = 0; count >= 0; count = socket.read(fd, buffer)) sum += count
  return sum
}
