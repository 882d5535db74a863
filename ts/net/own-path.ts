/** The paths of sockets that this package has bound. */

import { lstatSync, unlinkSync } from 'node:fs'

import type { SocketAddress } from './address.js'

function inode(path: string): bigint | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino
}

/**
 * Returns a function that removes the path of a socket that was just bound, unless another file has replaced it. For an
 * address without a path in the file system, the function does nothing.
 */
export function pathRemover(address: SocketAddress): () => void {
  if (!('path' in address) || address.path.startsWith('\0')) return () => {}
  const { path } = address
  const mine = inode(path)
  return () => {
    if (mine !== undefined && inode(path) === mine) unlinkSync(path)
  }
}
