// Bytes from a writer to a reader that must arrive unaltered and in order.
import { Tape } from './tape.js'
import type { World } from './world.js'

/** The ends of a flow. */
export interface FlowEnds {
  /** Writes bytes. Returns the number of bytes that were accepted; -1 if none can be accepted any more. */
  write(bytes: Buffer): number
  /** Reads bytes; `undefined` if none have arrived, an empty buffer at the end of the stream. */
  read(): Uint8Array | undefined
}

const LENGTHS = [1, 2, 17, 1000, 4096, 16_384, 70_000, 300_000] as const

export class FlowModel {
  readonly name: string
  readonly tape: Tape
  readonly #world: World
  readonly #ends: FlowEnds
  /** Whether a stream that is cut must not look complete, as on TCP. */
  readonly #hasResets: boolean
  #isBroken = false

  constructor(world: World, name: string, ends: FlowEnds, hasResets = false) {
    this.#world = world
    this.name = name
    this.tape = new Tape(world.random)
    this.#ends = ends
    this.#hasResets = hasResets
  }

  /** Writes some bytes. */
  write(): void {
    const { tape } = this
    if (tape.ended) return
    const bytes = tape.next(this.#world.random.pick(LENGTHS))
    // The bytes can arrive before the call returns.
    tape.written += bytes.length
    let count = 0
    try {
      count = this.#ends.write(bytes)
    } finally {
      tape.written -= bytes.length - Math.max(count, 0)
    }
    this.#world.note(`${this.name}: ${count} of ${bytes.length} bytes written`)
  }

  /** Reads what has arrived. */
  read(): void {
    const bytes = this.#ends.read()
    if (bytes !== undefined) this.arrived(bytes)
    if (bytes?.length === 0) this.#reachedEnd()
  }

  /** Checks bytes that have arrived. */
  arrived(bytes: Uint8Array): void {
    if (this.#isBroken || bytes.length === 0) return
    const problem = this.tape.arrived(bytes)
    this.#world.note(`${this.name}: ${bytes.length} bytes read`)
    if (problem === undefined) return
    this.#isBroken = true
    this.#world.judge.fault(`${this.name}: ${problem}`)
  }

  /** Reads to the end. Returns whether the end was reached. */
  drain(): boolean {
    for (let count = 0; count < 10_000; count += 1) {
      const bytes = this.#ends.read()
      if (bytes === undefined) return false
      if (bytes.length === 0) {
        this.#reachedEnd()
        return true
      }
      this.arrived(bytes)
    }
    return false
  }

  #reachedEnd(): void {
    const { ended, read, written } = this.tape
    if (!this.#hasResets || this.#isBroken || (ended && read === written)) return
    this.#isBroken = true
    this.#world.judge.fault(
      `${this.name}: ${read} of ${written} bytes and an end arrived from a stream that ${ended ? 'is longer' : 'was not ended'}`,
    )
  }
}
