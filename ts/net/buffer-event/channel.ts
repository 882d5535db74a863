/** The transport of a buffer event. */

/** A socket, or the other end of a pair. */
export interface Channel {
  /** The descriptor; -1 if there is none. */
  readonly fd: number
  /** Whether a connect is in progress. */
  readonly connecting: boolean
  /**
   * Starts or stops reading. Idempotent.
   *
   * @throws {SystemError} as `Event.add`
   */
  setReading(on: boolean): void
  /** Called when the output has bytes, or when writing becomes allowed or disallowed. */
  kick(): void
  /** Applies the timeouts of the flow. */
  adjustTimeouts(): void
  /** Writes the bytes that the transport accepts now, and makes callbacks due. */
  write(): void
  /** Writes in spite of watermarks, if the transport can; directions are bits of `EV`. */
  flush(what: number): void
  /** Releases all resources; no callback runs afterwards. */
  close(): void
}
