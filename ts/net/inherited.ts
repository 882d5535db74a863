/** Listening sockets that a service manager opened: socket activation. */

import { native } from '../native.js'
import { checkBoolean, checkOptions, outOfRange } from '../validate.js'

/** A descriptor that the service manager passed. */
export interface InheritedDescriptor {
  /** The number of the descriptor, 3 or more. */
  fd: number
  /**
   * The name of the descriptor: systemd's `FileDescriptorName=`, by default the name of the socket unit; `'unknown'` if
   * the service manager passed no names.
   */
  name: string
}

/** Options of {@link inheritedDescriptors}. */
export interface InheritedOptions {
  /**
   * Whether to remove the variables from `process.env`, so that the descriptors are not used twice. Default `false`.
   */
  unset?: boolean | undefined
}

const VARIABLES = ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES'] as const
/** `SD_LISTEN_FDS_START`. */
const FIRST = 3
const MOST = 0x7fff_ffff

function count(name: string, text: string, least: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= least && value <= MOST - FIRST)) {
    throw outOfRange(`process.env.${name}`, `a number >= ${least} and <= ${MOST - FIRST}`, text)
  }
  return value
}

/**
 * Returns the descriptors that a service manager opened for this process, as `sd_listen_fds(3)` does. If `LISTEN_PID`
 * is the id of this process, there are `LISTEN_FDS` descriptors, numbered from 3, with the names in `LISTEN_FDNAMES`.
 * Each is made close-on-exec. If the variables are missing or are for another process, the result is empty.
 *
 * ```ts
 * import { EventBase } from 'event-base'
 * import { inheritedDescriptors, listen, socket } from 'event-base/net'
 *
 * const base = new EventBase()
 * const [inherited] = inheritedDescriptors()
 * const listener = listen(base, inherited ?? { host: '127.0.0.1', port: 0 }, (fd) => socket.close(fd))
 * listener.close()
 * ```
 *
 * @param options `unset` removes the variables
 * @throws {EventError} `ERR_OUT_OF_RANGE` if a variable is not a number, or if the number of names differs from
 *   `LISTEN_FDS`; `ERR_INVALID_ARG_TYPE`
 * @throws {SystemError} `EBADF` if a descriptor is not open
 */
export function inheritedDescriptors(options?: InheritedOptions): InheritedDescriptor[] {
  const unset = checkBoolean('options.unset', checkOptions(options).unset)
  const [pid, fds] = [process.env['LISTEN_PID'], process.env['LISTEN_FDS']]
  const fdNames = process.env['LISTEN_FDNAMES']
  try {
    if (pid === undefined || fds === undefined) return []
    if (count('LISTEN_PID', pid, 1) !== process.pid) return []
    const length = count('LISTEN_FDS', fds, 0)
    if (length === 0) return []
    const names = fdNames?.split(':')
    if (names !== undefined && names.length !== length) {
      throw outOfRange('process.env.LISTEN_FDNAMES', `${length} names`, fdNames)
    }
    const found: InheritedDescriptor[] = []
    for (let index = 0; index < length; index++) {
      // Throws at the first descriptor that is not open, so that a LISTEN_FDS that is too high ends the loop.
      native.socketSetCloseOnExec(FIRST + index)
      found.push({ fd: FIRST + index, name: names?.[index] ?? 'unknown' })
    }
    return found
  } finally {
    if (unset) for (const name of VARIABLES) delete process.env[name]
  }
}
