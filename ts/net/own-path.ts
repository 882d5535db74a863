/** The paths of sockets that were bound here. */

import { lstatSync, unlinkSync } from 'node:fs'

import type { SocketAddress } from './address.js'

function inode(path: string): bigint | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino
}

/**
 * Returns a function that removes the path of a socket that was just bound, unless another file has the path by then. It
 * does nothing for an address that has no path in the file system.
 */
export function pathRemover(address: SocketAddress): () => void {
  if (!('path' in address) || address.path.startsWith('\0')) return () => {}
  const { path } = address
  const mine = inode(path)
  return () => {
    if (mine !== undefined && inode(path) === mine) unlinkSync(path)
  }
}
