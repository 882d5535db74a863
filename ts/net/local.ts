/** The local address of a connection. */

import { isIP } from 'node:net'

import type { native } from '../native.js'
import { checkBoolean, checkInteger, outOfRange, wrongType } from '../validate.js'

/** The local address of a connection. The system chooses the parts that are missing. Not for paths. */
export interface LocalOptions {
  /** A numeric address of this host. Only addresses of its family are connected to. */
  localAddress?: string | undefined
  /** A port, 1 to 65535, bound with `SO_REUSEADDR`. Default, and for 0: any. */
  localPort?: number | undefined
  /**
   * Allows a local address that this host does not have, such as that of a proxy's client (`IP_TRANSPARENT`,
   * `IPV6_TRANSPARENT`; Linux, `CAP_NET_ADMIN`, else `EPERM`).
   */
  transparent?: boolean | undefined
  /** Allows a local address that this host does not have yet (`IP_FREEBIND`; Linux). */
  freeBind?: boolean | undefined
}

/** The local address as the native layer takes it. */
export type Local = NonNullable<Parameters<typeof native.socketConnect>[2]>

/** Checks a local address. Returns `undefined` if the system chooses all of it. */
export function checkLocal(name: string, options: LocalOptions): Local | undefined {
  const { localAddress = '' } = options
  if (typeof localAddress !== 'string')
    throw wrongType(`${name}.localAddress`, 'of type string', localAddress)
  if (options.localAddress !== undefined && isIP(localAddress) === 0) {
    throw outOfRange(`${name}.localAddress`, 'a numeric IPv4 or IPv6 address', localAddress)
  }
  const localPort = checkInteger(`${name}.localPort`, options.localPort ?? 0, 0, 65_535)
  const transparent = checkBoolean(`${name}.transparent`, options.transparent)
  const freeBind = checkBoolean(`${name}.freeBind`, options.freeBind)
  const isDefault = localAddress === '' && localPort === 0 && !transparent && !freeBind
  return isDefault ? undefined : { localAddress, localPort, transparent, freeBind }
}
