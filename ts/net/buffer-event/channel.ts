/** What carries the bytes of a buffer event. */

/** A socket, or the other end of a pair. */
export interface Channel {
  /** The descriptor; -1 for none. */
  readonly fd: number
  /** Whether a connection is under way. */
  readonly connecting: boolean
  /**
   * Reads from now on, or no more. Twice is as good as once.
   *
   * @throws {SystemError} what adding an event throws
   */
  setReading(on: boolean): void
  /** There is something to write, or it may be written again, or no longer. */
  kick(): void
  /** The timeouts have changed. */
  adjustTimeouts(): void
  /** Writes what is taken right now, and calls back as from the loop. */
  write(): void
  /** The same, and more if more is possible; directions are bits of `EV`. */
  flush(what: number): void
  /** Gives everything back; nothing is called afterwards. */
  close(): void
}
