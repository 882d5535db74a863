import type { BufferEvent, BufferEventDuplex } from '../../net.js'

/** A buffer event, and what is known about it. */
export interface StreamModel {
  readonly stream: BufferEvent
  /** Whether the stream closes its descriptor. */
  readonly owns: boolean
  /** Whether its bytes are checked, so that no operation may tamper with them. */
  readonly isClean: boolean
  duplex?: BufferEventDuplex
}
