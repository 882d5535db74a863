/** The bits of a buffer event. */

/**
 * The reasons of `onEvent`: libevent's `BEV_EVENT_*`, with their values. EOF, ERROR and TIMEOUT are combined with the
 * direction, READING or WRITING. CONNECTED, and the ERROR of a connect, have no direction.
 */
export const BEV: {
  /** The direction is reading (`BEV_EVENT_READING`). */
  readonly READING: 0x01
  /** The direction is writing (`BEV_EVENT_WRITING`). */
  readonly WRITING: 0x02
  /** The end of the stream (`BEV_EVENT_EOF`). */
  readonly EOF: 0x10
  /** A failure, which is passed to the callback (`BEV_EVENT_ERROR`). */
  readonly ERROR: 0x20
  /** No byte moved for the timeout of the direction (`BEV_EVENT_TIMEOUT`). */
  readonly TIMEOUT: 0x40
  /** The connect has succeeded (`BEV_EVENT_CONNECTED`). */
  readonly CONNECTED: 0x80
} = Object.freeze({
  READING: 0x01,
  WRITING: 0x02,
  EOF: 0x10,
  ERROR: 0x20,
  TIMEOUT: 0x40,
  CONNECTED: 0x80,
})

/** Every bit. */
export const EVERY_BIT = 0xf3
