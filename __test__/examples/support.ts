/** Support of the specs of examples. */

import { connect, type NetConnectOpts, type Socket } from 'node:net'

import { expect, onTestFinished } from 'vitest'

import { Running } from '../cli/support.js'

/** A running example. */
export function example(name: string, ...args: string[]): Running {
  return new Running(`examples/${name}.ts`, args)
}

/** The port that an example prints. */
export async function portOf(running: Running): Promise<number> {
  const [, port] = await running.waitForOutput(/(?:listening|receiving) at \S*?:(\d+)/)
  return Number(port)
}

/** A stream, and what it has received. */
export class Client {
  readonly socket: Socket
  received = Buffer.alloc(0)
  ended = false
  closed = false
  error: NodeJS.ErrnoException | undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (bytes: Buffer) => (this.received = Buffer.concat([this.received, bytes])))
    socket.on('end', () => (this.ended = true))
    socket.on('close', () => (this.closed = true))
    socket.on('error', (error) => (this.error = error))
    onTestFinished(() => void socket.destroy())
  }
}

/** A client with a Node socket. */
export function client(target: NetConnectOpts): Client {
  return new Client(connect({ allowHalfOpen: true, ...target } as NetConnectOpts))
}

/** Stops an example, which has to exit with code 0 and without errors. */
export async function stop(running: Running, signal: NodeJS.Signals = 'SIGTERM'): Promise<string> {
  running.process.kill(signal)
  const { code, signal: killer, out, err } = await running.ended
  expect({ code, killer, err }).toEqual({ code: 0, killer: null, err: '' })
  return out
}
