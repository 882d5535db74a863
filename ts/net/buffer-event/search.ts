/** Finding bytes in a sequence of chunks. */

/** How a line ends. */
export type LineEnd =
  /** Any sequence of CR and LF (`EVBUFFER_EOL_ANY`). */
  | 'any'
  /** LF, with or without a CR before it (`EVBUFFER_EOL_CRLF`). */
  | 'crlf'
  /** CR and LF (`EVBUFFER_EOL_CRLF_STRICT`). */
  | 'crlf-strict'
  /** LF (`EVBUFFER_EOL_LF`). */
  | 'lf'
  /** A zero byte (`EVBUFFER_EOL_NUL`). */
  | 'nul'

/** The names of {@link LineEnd}. */
export const LINE_ENDS: readonly string[] = ['any', 'crlf', 'crlf-strict', 'lf', 'nul']

const CR = 0x0d
const LF = 0x0a

/** Whether `needle` starts at `offset` of the chunk `index`; it may continue in the following chunks. */
function isAt(chunks: readonly Buffer[], index: number, offset: number, needle: Buffer): boolean {
  let chunk = index
  let at = offset
  for (const byte of needle) {
    while (at >= (chunks[chunk]?.length ?? Infinity)) {
      chunk += 1
      at = 0
    }
    if (chunks[chunk]?.[at] !== byte) return false
    at += 1
  }
  return true
}

/**
 * Returns the first position of `needle` at or after `from`, or -1. Each chunk is searched as a whole; only where the
 * needle may continue in the next chunk, bytes are compared one by one.
 */
export function find(chunks: readonly Buffer[], needle: Buffer, from: number): number {
  const [first = 0] = needle
  let before = 0
  for (const [index, chunk] of chunks.entries()) {
    let at = Math.max(from - before, 0)
    if (at < chunk.length) {
      const whole = chunk.indexOf(needle, at)
      if (whole >= 0) return before + whole
      at = Math.max(at, chunk.length - needle.length + 1)
      for (at = chunk.indexOf(first, at); at >= 0; at = chunk.indexOf(first, at + 1)) {
        if (isAt(chunks, index, at, needle)) return before + at
        if (at + 1 >= chunk.length) break
      }
    }
    before += chunk.length
  }
  return -1
}

function byteAt(chunks: readonly Buffer[], position: number): number | undefined {
  let rest = position
  for (const chunk of chunks) {
    if (rest < chunk.length) return chunk[rest]
    rest -= chunk.length
  }
  return undefined
}

const NEEDLES = {
  'crlf-strict': Buffer.from('\r\n'),
  lf: Buffer.from('\n'),
  nul: Buffer.from('\0'),
  cr: Buffer.from('\r'),
} as const

/** The position and the length of the first end of a line. */
export function findLineEnd(
  chunks: readonly Buffer[],
  end: LineEnd,
): { at: number; length: number } | undefined {
  if (end === 'any') return findAny(chunks)
  const at = find(chunks, NEEDLES[end === 'crlf' ? 'lf' : end], 0)
  if (at < 0) return undefined
  if (end === 'crlf') {
    const hasReturn = at > 0 && byteAt(chunks, at - 1) === CR
    return hasReturn ? { at: at - 1, length: 2 } : { at, length: 1 }
  }
  return { at, length: NEEDLES[end].length }
}

function findAny(chunks: readonly Buffer[]): { at: number; length: number } | undefined {
  const ends = [find(chunks, NEEDLES.cr, 0), find(chunks, NEEDLES.lf, 0)].filter((at) => at >= 0)
  if (ends.length === 0) return undefined
  const at = Math.min(...ends)
  let length = 1
  for (;;) {
    const byte = byteAt(chunks, at + length)
    if (byte !== CR && byte !== LF) return { at, length }
    length += 1
  }
}
