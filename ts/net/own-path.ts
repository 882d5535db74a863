/** The paths of sockets that this package has bound. */

import { native } from '../native.js'
import { at, type SocketAddress } from './address.js'

type Owner = NonNullable<ReturnType<typeof native.pathOf>>

/** The path of a socket in the file system. It is removed at the end of the environment at the latest. */
export class OwnPath {
  readonly #owner: Owner
  readonly #path: string

  private constructor(owner: Owner, path: string) {
    this.#owner = owner
    this.#path = path
  }

  /** The path of a socket that was just bound to `address`; `undefined` for a socket without one in the file system. */
  static of(fd: number, address: SocketAddress): OwnPath | undefined {
    if (!('path' in address)) return undefined
    const owner = native.pathOf(fd) ?? undefined
    return owner === undefined ? undefined : new OwnPath(owner, address.path)
  }

  /** Removes the path, unless another file has replaced it. Idempotent. */
  remove(): void {
    at({ hostOrPath: this.#path, port: -1 }, () => native.pathRemove(this.#owner))
  }
}
