import type { ChildProcess } from 'node:child_process'

/** What the bench asks of the client. */
export interface Task {
  /** The proxy's port on the loopback address. */
  readonly port: number
  readonly connections: number
  /** Bytes that each connection sends. */
  readonly bytes: number
  /**
   * `0`: each connection sends all its bytes, half-closes and waits for the upstream's count. Otherwise bytes
   * go in messages of this size, each answered before the next is sent.
   */
  readonly message: number
}

/** What the client answers. */
export interface Done {
  readonly milliseconds: number
  /** Bytes that the upstream says it received. */
  readonly received: number
}

/** What the upstream says once it listens: its port for bulk data and its port for messages. */
export interface Listening {
  readonly sink: number
  readonly echo: number
}

/** The next message of a child process. */
export function answer<Message>(child: ChildProcess): Promise<Message> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void => reject(new Error(`a child process ended with ${code}`))
    child.once('exit', ended)
    child.once('message', (message) => {
      child.off('exit', ended)
      resolve(message as Message)
    })
  })
}
