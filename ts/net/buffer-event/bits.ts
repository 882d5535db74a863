/** What a buffer event tells of itself. */

/**
 * Why `onEvent` is called: libevent's `BEV_EVENT_*`, with their values. One of EOF, ERROR and TIMEOUT comes with the
 * direction it happened in, READING or WRITING; CONNECTED, and ERROR while connecting, come alone.
 */
export const BEV: {
  /** It happened while reading (`BEV_EVENT_READING`). */
  readonly READING: 0x01
  /** It happened while writing (`BEV_EVENT_WRITING`). */
  readonly WRITING: 0x02
  /** The end of the stream (`BEV_EVENT_EOF`). */
  readonly EOF: 0x10
  /** A failure, which the callback is told too (`BEV_EVENT_ERROR`). */
  readonly ERROR: 0x20
  /** Nothing moved for as long as the direction's timeout (`BEV_EVENT_TIMEOUT`). */
  readonly TIMEOUT: 0x40
  /** A connection that was asked for is there (`BEV_EVENT_CONNECTED`). */
  readonly CONNECTED: 0x80
} = Object.freeze({
  READING: 0x01,
  WRITING: 0x02,
  EOF: 0x10,
  ERROR: 0x20,
  TIMEOUT: 0x40,
  CONNECTED: 0x80,
})

/** All of them. */
export const EVERY_BIT = 0xf3
