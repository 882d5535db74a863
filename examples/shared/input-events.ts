/**
 * Records of Linux input devices: `struct input_event` of `linux/input.h`, a time (two machine words), a type, a code and
 * a value, 24 bytes on 64-bit machines, in the byte order of the machine.
 */

import { endianness } from 'node:os'

/** Bytes of a record. */
export const RECORD = 24

/** One record. */
export interface InputEvent {
  /** Seconds since the epoch, to the microsecond. */
  time: number
  type: number
  code: number
  value: number
}

/** `EV_*` of `linux/input-event-codes.h`. */
const TYPES: Readonly<Record<number, string>> = {
  0: 'SYN',
  1: 'KEY',
  2: 'REL',
  3: 'ABS',
  4: 'MSC',
  5: 'SW',
  17: 'LED',
  18: 'SND',
  20: 'REP',
  21: 'FF',
}

const SYN = 0
const SYN_REPORT = 0
const SYN_DROPPED = 3

/** The name of a type, or its number. */
export function typeName(type: number): string {
  return TYPES[type] ?? String(type)
}

/** Assembles records from bytes, and groups them in reports of simultaneous events. */
export class InputEvents {
  #bytes: Buffer = Buffer.alloc(0)
  #report: InputEvent[] = []
  #dropping = false
  /** The number of reports that were dropped because the reader was too slow. */
  dropped = 0

  /** Whether a record or a report is incomplete. */
  get torn(): boolean {
    return this.#bytes.length > 0 || this.#report.length > 0
  }

  /** Returns the reports that are complete. */
  add(bytes: Uint8Array): InputEvent[][] {
    const all = Buffer.concat([this.#bytes, bytes])
    const end = all.length - (all.length % RECORD)
    const reports: InputEvent[][] = []
    for (let at = 0; at < end; at += RECORD) this.#add(decode(all, at), reports)
    this.#bytes = all.subarray(end)
    return reports
  }

  #add(event: InputEvent, reports: InputEvent[][]): void {
    const isSyn = event.type === SYN
    if (isSyn && event.code === SYN_DROPPED) {
      // The kernel's queue was full (SYN_DROPPED): this report is dropped up to its end.
      this.#dropping = true
      this.#report = []
      this.dropped += 1
    } else if (!isSyn || event.code !== SYN_REPORT) {
      if (!this.#dropping) this.#report.push(event)
    } else {
      if (this.#report.length > 0) reports.push(this.#report)
      this.#report = []
      this.#dropping = false
    }
  }
}

const isLittle = endianness() === 'LE'

function decode(bytes: Buffer, at: number): InputEvent {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, RECORD)
  const seconds = Number(view.getBigInt64(0, isLittle))
  const microseconds = Number(view.getBigInt64(8, isLittle))
  return {
    time: seconds + microseconds / 1e6,
    type: view.getUint16(16, isLittle),
    code: view.getUint16(18, isLittle),
    value: view.getInt32(20, isLittle),
  }
}
