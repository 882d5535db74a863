// The file through which the preloaded library is controlled; `crates/faults/src/control.rs` describes its words.
import { closeSync, openSync, readSync, writeSync } from 'node:fs'

import { KINDS, type Outcome } from './plausible.js'

const WORDS = 1024
const FIRST = 16
const ENTRY = 8
const [REPLACED, ARMED, APPLIED, CALL, CALLS] = [0, 1, 2, 3, 8]

/** A fault: which of the calls that a process makes fail, and how. */
export interface Fault {
  readonly call: string
  readonly outcome: Outcome
  /** The first call that fails, counted from 1. */
  readonly nth: number
  /** The number of calls in a row that fail. */
  readonly times: number
}

/** The control file of one process. */
export class Control {
  readonly path: string
  readonly #fd: number

  /** Creates the file, or clears it. */
  constructor(path: string) {
    this.path = path
    this.#fd = openSync(path, 'w+')
    this.#write(
      0,
      Array.from({ length: WORDS }, () => 0),
    )
  }

  /** Whether the library is loaded and calls of an addon were replaced. */
  get isInPlace(): boolean {
    return this.#read(REPLACED, 1)[0] !== 0n
  }

  /** How often the fault was applied since it was armed. */
  get applied(): number {
    return Number(this.#read(APPLIED, 1)[0])
  }

  /** How often each call was made since the counts were started. Empty until the process has loaded the library. */
  get counts(): Map<string, number> {
    const calls = Number(this.#read(CALLS, 1)[0])
    const words = this.#read(FIRST, calls * ENTRY)
    const counts = new Map<string, number>()
    for (let index = 0; index < calls; index += 1) {
      const entry = words.subarray(index * ENTRY, (index + 1) * ENTRY)
      const name = Buffer.from(entry.buffer, entry.byteOffset + 8, (ENTRY - 1) * 8).toString()
      counts.set(name.slice(0, name.indexOf('\0')), Number(entry[0]))
    }
    return counts
  }

  /** Starts the counts at 0, and applies the fault if there is one. `names` are the calls of the library. */
  arm(names: readonly string[], fault?: Fault): void {
    this.disarm()
    for (let index = 0; index < names.length; index += 1) this.#write(FIRST + index * ENTRY, [0])
    this.#write(APPLIED, [0])
    if (fault === undefined) {
      this.#write(CALL, [WORDS, 0, 0, 0, 0])
    } else {
      const { call, outcome, nth, times } = fault
      this.#write(CALL, [names.indexOf(call), nth, times, KINDS.indexOf(outcome.kind), outcome.value])
    }
    this.#write(ARMED, [1])
  }

  /** Stops the counts and the fault. */
  disarm(): void {
    this.#write(ARMED, [0])
  }

  close(): void {
    closeSync(this.#fd)
  }

  #read(word: number, count: number): BigUint64Array {
    const words = new BigUint64Array(count)
    readSync(this.#fd, words, 0, count * 8, word * 8)
    return words
  }

  #write(word: number, values: readonly number[]): void {
    writeSync(this.#fd, BigUint64Array.from(values, BigInt), 0, values.length * 8, word * 8)
  }
}
