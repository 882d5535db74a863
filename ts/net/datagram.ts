/** Datagrams: UDP sockets, and batches that are received or sent by one call. */

import { EventError } from '../errors.js'
import { showAs } from '../inspect.js'
import { crossing, native, type NativeAddress } from '../native.js'
import {
  checkBoolean,
  checkBytes,
  checkFd,
  checkInteger,
  checkObject,
  outOfRange,
  wrongType,
} from '../validate.js'
import { at, checkNumericTarget, toAddress, type HostAndPort, type InternetAddress } from './address.js'

/** An address to receive datagrams at, and the options of the socket. */
export interface DatagramTarget extends HostAndPort {
  /**
   * Allows other sockets at the same address (`SO_REUSEPORT`). Linux distributes the senders over them (`socket(7)`);
   * other systems deliver all datagrams to one socket.
   */
  reusePort?: boolean | undefined
  /** Makes an IPv6 socket receive no IPv4 datagrams. */
  ipv6Only?: boolean | undefined
}

/** The size of a batch. */
export interface DatagramBatchOptions {
  /** The maximum number of datagrams, 1 to 64. Default 16. */
  slots?: number | undefined
  /**
   * The maximum number of bytes in each datagram, 1 to 65535. Default 2048, which is more than an Ethernet frame
   * carries.
   */
  size?: number | undefined
}

/** The maximum number of slots of a batch. */
const MOST_SLOTS = 64

/** The size of a record, whose layout is described in `datagram.rs`. */
const RECORD = 32
const CUT = 4
const FAMILY = 5
const PORT = 6
const HOST = 16

let recordsOf: (batch: DatagramBatch) => Buffer
let setCount: (batch: DatagramBatch, count: number) => void

/**
 * Datagrams that are received or sent by one call. A batch is made once and reused: receiving and sending allocate
 * nothing, and an address becomes an object only when it is read.
 *
 * ```ts
 * import { EV, EventBase } from 'event-base'
 * import { DatagramBatch, socket, type InternetAddress } from 'event-base/net'
 *
 * const base = new EventBase()
 * const server = socket.bindDatagram({ host: '127.0.0.1', port: 0 })
 * const client = socket.connectDatagram(socket.address(server) as InternetAddress)
 *
 * const requests = new DatagramBatch()
 * for (const text of ['one', 'two']) requests.add(Buffer.from(text))
 * socket.sendMany(client, requests)
 *
 * const batch = new DatagramBatch({ slots: 8, size: 512 })
 * const event = base.newEvent(server, EV.READ, () => {
 *   socket.receiveMany(server, batch)
 *   console.log(String(batch.bytes(0)), 'from', batch.address(0)?.host)
 *   socket.sendMany(server, batch) // each is returned to its sender
 * })
 * event.add()
 * base.dispatch()
 * base.close()
 * socket.close(client)
 * socket.close(server)
 * ```
 *
 * ```text output
 * one from 127.0.0.1
 * ```
 */
export class DatagramBatch {
  /** The maximum number of datagrams. */
  readonly slots: number
  /** The maximum number of bytes in each datagram. */
  readonly size: number
  /** The bytes of all slots; slot `index` begins at `index * size`. */
  readonly data: Buffer
  readonly #records: Buffer
  #count = 0

  static {
    recordsOf = (batch) => batch.#records
    setCount = (batch, count) => (batch.#count = count)
    showAs(DatagramBatch, 'DatagramBatch', ({ slots, size, count }) => ({ count, slots, size }))
  }

  /**
   * @param options `slots` and `size`
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  constructor(options: DatagramBatchOptions = {}) {
    const given = checkObject('options', options)
    this.slots = checkInteger('options.slots', given.slots ?? 16, 1, MOST_SLOTS)
    this.size = checkInteger('options.size', given.size ?? 2048, 1, 65_535)
    this.data = Buffer.alloc(this.slots * this.size)
    this.#records = Buffer.alloc(this.slots * RECORD)
  }

  /** The number of datagrams. They are in the first slots. */
  get count(): number {
    return this.#count
  }

  /** Removes all datagrams. Receiving does this first. */
  clear(): void {
    this.#count = 0
  }

  #checkMemory(): void {
    if (this.data.byteLength === 0) {
      throw new EventError('ERR_OUT_OF_RANGE', 'The memory of the batch was transferred')
    }
  }

  /** The position of the record of a datagram. */
  #at(index: number): number {
    if (this.#count === 0) throw outOfRange('index', 'less than count, which is 0', index)
    return checkInteger('index', index, 0, this.#count - 1) * RECORD
  }

  /**
   * The number of bytes of a datagram, which may be 0.
   *
   * @param index below {@link count}
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  length(index: number): number {
    return this.#records.readUInt32LE(this.#at(index))
  }

  /**
   * Whether a datagram was longer than its slot. The rest of it is lost.
   *
   * @param index below {@link count}
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  truncated(index: number): boolean {
    return this.#records[this.#at(index) + CUT] !== 0
  }

  /**
   * The bytes of a datagram, as a view on {@link data} that is valid until the slot is used again.
   *
   * @param index below {@link count}
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`; the latter also if the memory of {@link data} was
   *   transferred
   */
  bytes(index: number): Buffer {
    const length = this.length(index)
    this.#checkMemory()
    return this.data.subarray(index * this.size, index * this.size + length)
  }

  /**
   * The sender of a received datagram, or the destination of a datagram to send.
   *
   * @param index below {@link count}
   * @returns the address; `undefined` if the destination is the peer of a connected socket, or if the sender has no
   *   internet address
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  address(index: number): InternetAddress | undefined {
    const records = this.#records
    const start = this.#at(index)
    if (records[start + FAMILY] === 4) {
      const host = records.subarray(start + HOST, start + HOST + 4).join('.')
      return { host, port: records.readUInt16LE(start + PORT), family: 'IPv4' }
    }
    const found = native.datagramAddress(records.subarray(start, start + RECORD))
    return found ? (toAddress(found) as InternetAddress) : undefined
  }

  /**
   * Adds a datagram to be sent. Its bytes are copied.
   *
   * @param bytes at most {@link size}; not on a SharedArrayBuffer
   * @param to a numeric host (or `'localhost'`: 127.0.0.1) and a port. Default: the peer of a connected socket
   * @returns `false` if no slot is left
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  add(bytes: Uint8Array, to?: HostAndPort): boolean {
    // This can run user code, which can change the batch and the bytes.
    const address = to === undefined ? undefined : checkInternet('to', to)
    checkBytes('bytes', bytes)
    if (bytes.byteLength > this.size) throw outOfRange('bytes', `<= ${this.size} bytes`, bytes.byteLength)
    if (this.#count === this.slots) return false
    this.#checkMemory()
    const start = this.#count * RECORD
    this.#records.fill(0, start, start + RECORD)
    if (address !== undefined) {
      this.#records.set(native.datagramRecord(address.hostOrPath, address.port), start)
    }
    this.#records.writeUInt32LE(bytes.byteLength, start)
    // An array without memory cannot be copied from.
    if (bytes.byteLength > 0) this.data.set(bytes, this.#count * this.size)
    this.#count += 1
    return true
  }
}

function checkInternet(name: string, target: HostAndPort): NativeAddress {
  const address = checkNumericTarget(name, target)
  if (address.port < 0) throw outOfRange(name, 'a host and a port', address.hostOrPath)
  return address
}

function checkBatch(batch: DatagramBatch): DatagramBatch {
  if (!(batch instanceof DatagramBatch)) throw wrongType('batch', 'an instance of DatagramBatch', batch)
  return batch
}

/**
 * Opens a UDP socket that receives at an address. `SO_REUSEADDR` is not set: a port that another socket uses fails with
 * `EADDRINUSE`.
 *
 * @param target a numeric host (or `'localhost'`: 127.0.0.1) and a port, 0 for any
 * @returns the descriptor, which is non-blocking and which the caller owns
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 * @throws {SystemError} `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, ... with `address` and `port`
 */
export function bindDatagram(target: DatagramTarget): number {
  const given = checkObject('target', target)
  const address = checkInternet('target', given)
  const reusePort = checkBoolean('target.reusePort', given.reusePort)
  const ipv6Only = checkBoolean('target.ipv6Only', given.ipv6Only)
  return at(address, () => native.datagramBind(address.hostOrPath, address.port, reusePort, ipv6Only))
}

/**
 * Opens a UDP socket with a peer: it receives only from the peer, sends to the peer by default, and reports
 * `ECONNREFUSED` if no socket receives at that address. This call sends nothing.
 *
 * @param target a numeric host (or `'localhost'`: 127.0.0.1) and a port
 * @returns the descriptor, which is non-blocking and which the caller owns
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 * @throws {SystemError} `ENETUNREACH`, `EADDRNOTAVAIL`, ... with `address` and `port`
 */
export function connectDatagram(target: HostAndPort): number {
  const address = checkInternet('target', target)
  return at(address, () => native.datagramConnect(address.hostOrPath, address.port))
}

/**
 * Receives datagrams that have arrived, at most one for each slot of the batch. Linux and FreeBSD need one system call
 * (`recvmmsg(2)`), other systems one for each datagram. The batch is cleared first, even if this function throws.
 *
 * @param fd a datagram socket
 * @param batch the batch to receive into
 * @returns the number of received datagrams, which is also `batch.count`; -1 if none has arrived, and `batch.count` is
 *   then 0
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 * @throws {SystemError} `ECONNREFUSED` on a connected socket whose peer did not receive an earlier datagram,
 *   `ENOTSOCK`, `EBADF`, ...
 */
export function receiveMany(fd: number, batch: DatagramBatch): number {
  const { data, size, slots } = checkBatch(batch)
  setCount(batch, 0)
  const count = crossing.datagramReceive(checkFd('fd', fd), data, size, slots, recordsOf(batch))
  if (count > 0) setCount(batch, count)
  return count
}

/**
 * Sends the datagrams of a batch in order, each to its address. Linux and FreeBSD need one system call (`sendmmsg(2)`),
 * other systems one for each datagram. If the batch was received, each datagram is sent back to its sender. The batch
 * is unchanged.
 *
 * @param fd a datagram socket
 * @param batch the batch to send
 * @param from the index of the first datagram to send. Default 0
 * @param to the index after the last datagram to send. Default `batch.count`
 * @returns the number of sent datagrams, starting at `from`; 0 for an empty range; -1 if the socket accepts none now
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 * @throws {SystemError} about the datagram `from`: `EMSGSIZE`, `EDESTADDRREQ`, `ENETUNREACH`, `EPERM`, `EBADF`, ... The
 *   error of a later datagram is thrown by the call that starts with that datagram
 */
export function sendMany(fd: number, batch: DatagramBatch, from = 0, to?: number): number {
  const { data, size, count } = checkBatch(batch)
  checkFd('fd', fd)
  checkInteger('from', from, 0, count)
  const end = to === undefined ? count : checkInteger('to', to, from, count)
  if (end === from) return 0
  return crossing.datagramSend(fd, data, size, from, end - from, recordsOf(batch))
}
