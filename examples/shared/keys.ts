/** Keys from the bytes of a terminal in raw mode: ECMA-48's sequences as xterm sends them. */

const ESCAPE = 0x1b

const FINAL: Readonly<Record<string, string>> = {
  A: 'Up',
  B: 'Down',
  C: 'Right',
  D: 'Left',
  F: 'End',
  H: 'Home',
  P: 'F1',
  Q: 'F2',
  R: 'F3',
  S: 'F4',
  Z: 'Shift+Tab',
}

/** Keys of sequences that end with `~`, by their number. */
const NUMBERED: Readonly<Record<string, string>> = {
  1: 'Home',
  2: 'Insert',
  3: 'Delete',
  4: 'End',
  5: 'PageUp',
  6: 'PageDown',
  15: 'F5',
  17: 'F6',
  18: 'F7',
  19: 'F8',
  20: 'F9',
  21: 'F10',
  23: 'F11',
  24: 'F12',
}

const CONTROL: Readonly<Record<number, string>> = {
  0: 'Ctrl+Space',
  8: 'Backspace',
  9: 'Tab',
  10: 'Enter',
  13: 'Enter',
  27: 'Escape',
  127: 'Backspace',
}

/** The number of bytes of a UTF-8 character that starts with `byte`; 0 if none does. */
function width(byte: number): number {
  if (byte < 0x80) return 1
  if (byte >= 0xc2 && byte < 0xe0) return 2
  if (byte >= 0xe0 && byte < 0xf0) return 3
  return byte >= 0xf0 && byte < 0xf5 ? 4 : 0
}

/** Splits bytes into keys. A key may arrive in pieces. */
export class Keys {
  #bytes: Buffer = Buffer.alloc(0)

  /** Whether a key is incomplete. A single Escape is: it may be the key, or the beginning of another. */
  get torn(): boolean {
    return this.#bytes.length > 0
  }

  /** Returns the keys that are complete. */
  add(bytes: Uint8Array): string[] {
    this.#bytes = Buffer.concat([this.#bytes, bytes])
    const keys: string[] = []
    for (let key = this.#next(); key !== undefined; key = this.#next()) keys.push(key)
    return keys
  }

  /** Returns the incomplete key as it is, because no byte has followed. */
  flush(): string[] {
    const keys: string[] = []
    while (this.#bytes.length > 0) {
      keys.push(this.#control(1))
      keys.push(...this.add(new Uint8Array(0)))
    }
    return keys
  }

  #next(): string | undefined {
    const [first, second] = this.#bytes
    if (first === undefined) return undefined
    if (first === ESCAPE) return second === undefined ? undefined : this.#sequence(second)
    if (first < 0x20 || first === 0x7f) return this.#control(1)
    const wanted = width(first)
    if (wanted === 0) return this.#take(1).toString('hex')
    if (this.#bytes.length < wanted) return undefined
    return this.#take(wanted).toString('utf8')
  }

  /** A sequence that starts with Escape: CSI, SS3, or a key with Alt. */
  #sequence(second: number): string | undefined {
    const isCsi = second === 0x5b
    if (!isCsi && second !== 0x4f) {
      if (second === ESCAPE) return this.#control(1)
      if (this.#bytes.length < 1 + Math.max(width(second), 1)) return undefined
      this.#take(1)
      return `Alt+${this.#next()}`
    }
    // Parameters and intermediates are 0x20 to 0x3f; the first byte above them ends the sequence.
    const end = this.#bytes.findIndex((byte, index) => index > 1 && (byte < 0x20 || byte > 0x3f))
    if (end < 0) return undefined
    const sequence = this.#take(end + 1)
      .toString('latin1')
      .slice(2)
    const [parameter = ''] = sequence.slice(0, -1).split(';')
    const final = sequence.slice(-1)
    const name = final === '~' ? NUMBERED[parameter] : FINAL[final]
    return name ?? `Escape ${isCsi ? '[' : 'O'}${sequence}`
  }

  #control(length: number): string {
    const [byte = 0] = this.#take(length)
    if (byte >= 0x80) return byte.toString(16)
    return (
      CONTROL[byte] ?? (byte < 0x20 ? `Ctrl+${String.fromCharCode(byte + 0x40)}` : String.fromCharCode(byte))
    )
  }

  #take(length: number): Buffer {
    const taken = this.#bytes.subarray(0, length)
    this.#bytes = this.#bytes.subarray(length)
    return taken
  }
}
