/** Completions: results of listeners, connects and relays. */

import { crossing, native, type NativeAddress, type NativeHandle } from '../native.js'

interface Keyed {
  /** The key of the source. */
  key: number
}

/** A listener has accepted a connection. */
export interface Accepted extends Keyed {
  kind: 'accepted'
  fd: number
  peer: NativeAddress
}

/** A listener has failed to accept. */
export interface AcceptFailed extends Keyed {
  kind: 'acceptFailed'
  error: Error
  /** Milliseconds until the listener retries; negative if it does not retry. */
  retryAfter: number
}

/** A connect has succeeded or failed. */
export interface Connected extends Keyed {
  kind: 'connected'
  /** The descriptor; -1 if the connect failed. */
  fd: number
  /** The error of the connect, and the error of each failed attempt with the index of its address. */
  failure: ReturnType<typeof native.netConnectFailure> | undefined
}

/** A relay has ended. */
export interface RelayEnded extends Keyed {
  kind: 'relayEnded'
  bytesAToB: number
  bytesBToA: number
  bytesSpliced: number
  durationMs: number
  reason: (typeof REASONS)[number]
  error: Error | undefined
}

/** A result of a source. */
export type Completion = Accepted | AcceptFailed | Connected | RelayEnded

// The numbers of the kinds, which the native call returns.
const ACCEPTED = 1
const ACCEPT_FAILED = 2
const CONNECTED = 3
const RELAY_ENDED = 4

const REASONS = ['end', 'error', 'idle', 'closed'] as const

/**
 * The native layer writes the numbers of a completion here. All bases share the array, which is read before any other
 * call.
 */
const numbers = new Float64Array(7)

/** Returns the next completion, or `undefined` if there is none. */
export function nextCompletion(handle: NativeHandle): Completion | undefined {
  const kind = crossing.netCompletion(handle, numbers)
  const key = number(0)
  switch (kind) {
    case ACCEPTED:
      return { kind: 'accepted', key, fd: number(1), peer: peer(handle, number(3), number(2)) }
    case ACCEPT_FAILED:
      return { kind: 'acceptFailed', key, error: failure(handle), retryAfter: number(1) }
    case CONNECTED:
      return {
        kind: 'connected',
        key,
        fd: number(1),
        failure: number(1) < 0 ? native.netConnectFailure(handle) : undefined,
      }
    case RELAY_ENDED:
      return {
        kind: 'relayEnded',
        key,
        bytesAToB: number(1),
        bytesBToA: number(2),
        bytesSpliced: number(6),
        durationMs: number(3),
        reason: REASONS[number(4)] ?? 'end',
        error: number(5) === 0 ? undefined : failure(handle),
      }
    default:
      return undefined
  }
}

function number(index: number): number {
  return numbers[index] ?? 0
}

/** The address of a peer. IPv4 addresses are passed as a number; a second call returns any other address. */
function peer(handle: NativeHandle, host: number, port: number): NativeAddress {
  if (port < 0) return native.netPeer(handle) ?? { hostOrPath: '', port: -2 }
  return { hostOrPath: `${host >>> 24}.${(host >>> 16) & 255}.${(host >>> 8) & 255}.${host & 255}`, port }
}

function failure(handle: NativeHandle): Error {
  return native.netFailure(handle) ?? new Error('The native layer has no error for the failure')
}
