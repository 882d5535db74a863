/** The PROXY protocol, as HAProxy's `proxy-protocol.txt` has it. */

import { isIP } from 'node:net'

import type { SocketAddress } from '../net/address.js'

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
/** Version 2, and that the connection is somebody else's. */
const VERSION_AND_COMMAND = 0x21
const TCP_OVER_IPV4 = 0x11
const TCP_OVER_IPV6 = 0x21
const UNIX_STREAM = 0x31
/** The size of a path in the header. */
const PATH = 108

interface Internet {
  host: string
  port: number
}

/** What came to an IPv6 socket over IPv4 is of the latter. */
function internet(address: SocketAddress): Internet | undefined {
  if (!('port' in address)) return undefined
  const host = address.host.replace(/^::ffff:(?=\d+\.)/i, '')
  return { host, port: address.port }
}

function groups(part: string): number[] {
  return part === '' ? [] : part.split(':').map((word) => Number(`0x${word}`))
}

function octets(host: string): Buffer {
  if (isIP(host) === 4) return Buffer.from(host.split('.').map(Number))
  const [head = '', tail] = host.split('::')
  const [before, after] = [groups(head), groups(tail ?? '')]
  const bytes = Buffer.alloc(16)
  before.forEach((group, index) => bytes.writeUInt16BE(group, 2 * index))
  after.forEach((group, index) => bytes.writeUInt16BE(group, 16 - 2 * (after.length - index)))
  return bytes
}

function binary(peer: SocketAddress, local: SocketAddress): Buffer {
  const [from, to] = [internet(peer), internet(local)]
  let family = UNIX_STREAM
  let addresses: Buffer
  if (from !== undefined && to !== undefined) {
    family = isIP(from.host) === 4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6
    const ports = Buffer.alloc(4)
    ports.writeUInt16BE(from.port, 0)
    ports.writeUInt16BE(to.port, 2)
    addresses = Buffer.concat([octets(from.host), octets(to.host), ports])
  } else {
    addresses = Buffer.alloc(2 * PATH)
    for (const [index, address] of [peer, local].entries()) {
      if ('path' in address) addresses.write(address.path, index * PATH, PATH)
    }
  }
  const head = Buffer.from([VERSION_AND_COMMAND, family, 0, addresses.length])
  return Buffer.concat([SIGNATURE, head, addresses])
}

/** The header for a connection from `peer` that was accepted at `local`. */
export function proxyHeader(version: 1 | 2, peer: SocketAddress, local: SocketAddress): Buffer {
  if (version === 2) return binary(peer, local)
  const [from, to] = [internet(peer), internet(local)]
  if (from === undefined || to === undefined) return Buffer.from('PROXY UNKNOWN\r\n')
  const family = isIP(from.host) === 4 ? 'TCP4' : 'TCP6'
  return Buffer.from(`PROXY ${family} ${from.host} ${to.host} ${from.port} ${to.port}\r\n`)
}
