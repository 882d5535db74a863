/** The local address of a connection. */

import type { native } from '../native.js'
import { checkBoolean, checkInteger, outOfRange, wrongType } from '../validate.js'
import { familyOf } from './address.js'

/** The local address of a connection. The system chooses missing parts. Not for paths. */
export interface LocalOptions {
  /** A numeric address of this host. Only remote addresses of the same family are tried. */
  localAddress?: string | undefined
  /** A port, 1 to 65535, which is bound with `SO_REUSEADDR`. By default, and for 0, the system chooses the port. */
  localPort?: number | undefined
  /**
   * Allows a local address that this host does not have, such as the address of a proxy's client (`IP_TRANSPARENT`;
   * Linux). Without `CAP_NET_ADMIN` it fails with `EPERM`.
   */
  transparent?: boolean | undefined
  /** Allows a local address that this host does not have yet (`IP_FREEBIND`; Linux). */
  freeBind?: boolean | undefined
}

/** The local address, in the form that the native layer takes. */
export type Local = NonNullable<Parameters<typeof native.socketConnect>[2]>

/** Checks a local address. Returns `undefined` if the system chooses all of it. */
export function checkLocal(name: string, options: LocalOptions): Local | undefined {
  const { localAddress = '' } = options
  if (typeof localAddress !== 'string')
    throw wrongType(`${name}.localAddress`, 'of type string', localAddress)
  if (options.localAddress !== undefined && familyOf(localAddress) === 0) {
    throw outOfRange(`${name}.localAddress`, 'a numeric IPv4 or IPv6 address', localAddress)
  }
  const localPort = checkInteger(`${name}.localPort`, options.localPort ?? 0, 0, 65_535)
  const transparent = checkBoolean(`${name}.transparent`, options.transparent)
  const freeBind = checkBoolean(`${name}.freeBind`, options.freeBind)
  const isDefault = localAddress === '' && localPort === 0 && !transparent && !freeBind
  return isDefault ? undefined : { localAddress, localPort, transparent, freeBind }
}
