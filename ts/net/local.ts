/** Where a connection comes from, where the system is not to choose. */

import { isIP } from 'node:net'

import type { native } from '../native.js'
import { checkBoolean, checkInteger, outOfRange, wrongType } from '../validate.js'

/** Where to connect from; the system chooses what is left open. Not for paths. */
export interface LocalOptions {
  /** A numeric address of this host. Addresses of the other family are then not tried. */
  localAddress?: string | undefined
  /** A port, 1 to 65535, bound with `SO_REUSEADDR`. Default, and for 0: any. */
  localPort?: number | undefined
  /**
   * The local address may be foreign, such as that of a client whose connection is passed on (`IP_TRANSPARENT`,
   * `IPV6_TRANSPARENT`; Linux, `CAP_NET_ADMIN`, else `EPERM`).
   */
  transparent?: boolean | undefined
  /** The local address need not be there yet (`IP_FREEBIND`; Linux). */
  freeBind?: boolean | undefined
}

/** The same, checked, for the native layer. */
export type Local = NonNullable<Parameters<typeof native.socketConnect>[2]>

/** Checks where to connect from. Nothing where all is left to the system. */
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
