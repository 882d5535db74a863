/** Random choices that a seed repeats. */
export class Random {
  #state: number

  constructor(...seeds: readonly number[]) {
    this.#state = 0x9e37_79b9
    for (const seed of seeds) {
      this.#state = (this.#state ^ seed) >>> 0
      // Seeds that differ in one bit must not give similar sequences.
      for (let round = 0; round < 4; round += 1) this.#state = this.next()
    }
  }

  /** A number of 32 bits (splitmix32). */
  next(): number {
    this.#state = (this.#state + 0x9e37_79b9) >>> 0
    let value = this.#state
    value = Math.imul(value ^ (value >>> 16), 0x21f0_aaad)
    value = Math.imul(value ^ (value >>> 15), 0x735a_2d97)
    return (value ^ (value >>> 15)) >>> 0
  }

  /** An integer from 0 to `limit - 1`. */
  below(limit: number): number {
    return this.next() % limit
  }

  /** An integer from `least` to `most`. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1)
  }

  chance(probability: number): boolean {
    return this.next() < probability * 0x1_0000_0000
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T
  }

  /** A value of the list, or `undefined` if the list is empty. */
  some<T>(values: readonly T[]): T | undefined {
    return values.length === 0 ? undefined : this.pick(values)
  }

  /** Some bits of a mask. */
  bits(mask: number): number {
    return this.next() & mask
  }

  shuffle<T>(values: readonly T[]): T[] {
    const result = [...values]
    for (let last = result.length - 1; last > 0; last -= 1) {
      const other = this.below(last + 1)
      const value = result[last] as T
      result[last] = result[other] as T
      result[other] = value
    }
    return result
  }
}
