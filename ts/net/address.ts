/** Addresses of sockets, in the forms of the public functions and of the native layer. */

import { isIP } from 'node:net'

import { withAddress as addAddress } from '../errors.js'
import type { NativeAddress } from '../native.js'
import { checkInteger, checkObject, outOfRange, wrongType } from '../validate.js'

/** A host and a port. */
export interface HostAndPort {
  /**
   * A numeric IPv4 or IPv6 address; an IPv6 address may have a zone, as in `'fe80::1%eth0'`. `connect`,
   * both `connect` of `BufferEvent`, and the upstreams of `proxy` also take a name, which they look up. All other
   * functions take `'localhost'` in place of an address, which means 127.0.0.1 there, and refuse other names with
   * `ERR_OUT_OF_RANGE`.
   */
  host: string
  /** 0 to 65535. For a listening socket, 0 lets the system choose the port. */
  port: number
}

/** A unix socket. */
export interface UnixPath {
  /** A path; a leading NUL makes it a name in Linux's abstract namespace. */
  path: string
}

/** An address to listen at or to connect to. */
export type Target = HostAndPort | UnixPath

/** The address of an internet socket. */
export interface InternetAddress {
  /** A numeric IPv4 or IPv6 address. */
  host: string
  /** 1 to 65535. */
  port: number
  /** The family of the address. */
  family: 'IPv4' | 'IPv6'
}

/** The address of a socket. The path of an unnamed unix socket is empty. */
export type SocketAddress = InternetAddress | UnixPath

const UNIX = -1

function isUnixPath(target: Target): target is UnixPath {
  return 'path' in target && target.path !== undefined
}

/** Checks the properties of a target, whose host may be a name. */
export function checkTarget(name: string, target: Target): NativeAddress {
  const given = checkObject(name, target)
  if (isUnixPath(given)) {
    if (typeof given.path !== 'string') throw wrongType(`${name}.path`, 'of type string', given.path)
    return { hostOrPath: given.path, port: UNIX }
  }
  const { host, port } = given
  if (typeof host !== 'string') throw wrongType(`${name}.host`, 'of type string', host)
  return { hostOrPath: host, port: checkInteger(`${name}.port`, port, 0, 65_535) }
}

/**
 * The family of a numeric address; 0 for any other text. An IPv6 address may have a zone, whose name the native layer
 * checks: `isIP` of Node 20 refuses some names of interfaces, such as `br_lan`.
 */
export function familyOf(host: string): 0 | 4 | 6 {
  const end = host.indexOf('%')
  const family = isIP(end < 0 ? host : host.slice(0, end)) as 0 | 4 | 6
  return end < 0 || (family === 6 && end < host.length - 1) ? family : 0
}

/** Whether an address needs no look-up: a path, or a numeric host. */
export function isNumeric({ hostOrPath, port }: NativeAddress): boolean {
  return port === UNIX || familyOf(hostOrPath) !== 0
}

/** Checks a target that needs no look-up. */
export function checkNumericTarget(name: string, target: Target): NativeAddress {
  const found = checkTarget(name, target)
  if (found.port !== UNIX && found.hostOrPath === 'localhost') found.hostOrPath = '127.0.0.1'
  if (!isNumeric(found)) {
    throw outOfRange(`${name}.host`, 'a numeric IPv4 or IPv6 address or "localhost"', found.hostOrPath)
  }
  return found
}

/** Converts an address of the native layer to the form that the public functions return. */
export function toAddress({ hostOrPath, port }: NativeAddress): SocketAddress {
  if (port < 0) return { path: hostOrPath }
  return { host: hostOrPath, port, family: familyOf(hostOrPath) === 6 ? 'IPv6' : 'IPv4' }
}

/** Formats a host and a port: `host:port`, or `[IPv6]:port`. */
export function formatHostAndPort({ host, port }: HostAndPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/**
 * Formats an address: a host and a port, or `unix:PATH`. A name in Linux's abstract namespace begins with `@`, as ss(8)
 * writes it, and a relative path that begins with `@` begins with `./`.
 */
export function formatAddress(address: Target): string {
  if (!('path' in address)) return formatHostAndPort(address)
  const { path } = address
  if (path.startsWith('\0')) return `unix:@${path.slice(1)}`
  return path.startsWith('@') ? `unix:./${path}` : `unix:${path}`
}

/** Runs a native call that concerns an address. If the call throws a system error, the address is added to it. */
export function at<T>({ hostOrPath, port }: NativeAddress, call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw withAddress(error, { hostOrPath, port })
  }
}

/** Adds an address to a system error. */
export function withAddress<E>(error: E, { hostOrPath, port }: NativeAddress): E {
  return addAddress(error, hostOrPath, port < 0 ? undefined : port)
}
