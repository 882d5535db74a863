// What is allowed to happen: the documented errors, and the list of faults.
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { getSystemErrorMap } from 'node:util'

import { root } from '../lib/run.js'

/** An exception that hostile code throws. It may leave every call that runs such code. */
export class HostileError extends Error {
  static {
    this.prototype.name = 'HostileError'
  }
}

/** The codes of the first table in `docs/guide/errors.md`. */
const documented: ReadonlySet<string> = new Set(
  [...readFileSync(join(root, 'docs/guide/errors.md'), 'utf8').matchAll(/^\| `(ERR_\w+)` \|/gm)].map(
    ([, code = '']) => code,
  ),
)
/** Codes that are documented but mean a fault of the package in this program, which never forks. */
const NEVER: ReadonlySet<string> = new Set([
  'ERR_EVENT_INTERNAL',
  'ERR_EVENT_FORKED',
  'ERR_EVENT_WRONG_THREAD',
  'EFAULT',
])

/** libuv has one name only for numbers that have two, such as EOPNOTSUPP and ENOTSUP. */
const systemErrors: ReadonlySet<string> = new Set([
  ...[...getSystemErrorMap().values()].map(([name]) => name),
  ...Object.keys(constants.errno),
])

/** The errors of Node's streams that calls of a Duplex may fail with. */
export const STREAM_ERRORS: readonly string[] = [
  'ABORT_ERR',
  'ERR_INVALID_ARG_VALUE',
  'ERR_INVALID_ARG_TYPE',
  'ERR_OUT_OF_RANGE',
  'ERR_METHOD_NOT_IMPLEMENTED',
  'ERR_STREAM_ALREADY_FINISHED',
  'ERR_STREAM_CANNOT_PIPE',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_NULL_VALUES',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_STREAM_PUSH_AFTER_EOF',
  'ERR_STREAM_UNSHIFT_AFTER_END_EVENT',
  'ERR_STREAM_WRITE_AFTER_END',
  'ERR_UNKNOWN_ENCODING',
]

/** Node throws a TypeError if the name of an argument's constructor, or of a function, is no string. */
const UNDESCRIBED =
  /^[^\n]*(\n\s*at [^\n]*\(node:internal\/util\/inspect:[^\n]*)*\n\s*at [^\n]*\(node:internal\/errors:/

/** `read` of Node's streams converts its argument to a number, which throws a TypeError of V8 for some values. */
const UNCONVERTED =
  /^TypeError: [^\n]*\n\s*at parseInt \(<anonymous>\)\n\s*at [^\n]*\(node:internal\/streams\/readable:[^\n]*\n[^\n]*scripts\/hostile\/world\.ts:/

/**
 * Node's streams view the memory of a written chunk, and join chunks that are read. Both throw a TypeError of V8 if the
 * memory was transferred, for example with another part of a chunk that `read` has divided.
 */
const TRANSFERRED =
  /^TypeError: [^\n]*detached ArrayBuffer(\n\s*at [^\n]*\((<anonymous>|node:[^\n]*)\))*\n\s*at [^\n]*\(node:internal\/streams\/(readable|writable):/

/** Replaces control characters, such as the NUL of an abstract path: a log that has them counts as binary. */
export function printable(text: string): string {
  return text.replace(
    /\p{Cc}/gu,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}

/** A short description of an error for the log; it runs no hostile code. */
export function describeError(error: unknown): string {
  if (error instanceof HostileError) return 'HostileError'
  if (!(error instanceof Error)) return `a thrown ${typeof error}`
  const { code } = error as { code?: unknown }
  return `${error.name}${typeof code === 'string' ? ` ${code}` : ''}: ${String(error.message).slice(0, 200)}`
}

/** Collects the faults of an episode. */
export class Judge {
  readonly faults: string[] = []
  readonly #note: (line: string) => void

  /** @param note receives each fault when it is found */
  constructor(note: (line: string) => void = () => {}) {
    this.#note = note
  }

  fault(description: string): void {
    const text = printable(description)
    this.#note(`FAULT: ${text}`)
    if (this.faults.length < 20) this.faults.push(text)
  }

  /** Judges the error of a rejected call. `also` lists further codes that the call may fail with. */
  rejected(name: string, error: unknown, also: readonly string[] = []): void {
    const problem = this.#problem(error, also)
    if (problem === undefined) return
    const stack = error instanceof Error ? (error.stack ?? '').split('\n').slice(1, 6).join(' | ') : ''
    this.fault(`${name}: ${problem}: ${describeError(error)} ${stack}`)
  }

  #problem(error: unknown, also: readonly string[]): string | undefined {
    if (error instanceof HostileError) return undefined
    if (!(error instanceof Error)) return 'threw something that is no Error'
    const { code, errno, syscall } = error as { code?: unknown; errno?: unknown; syscall?: unknown }
    const stack = error.stack ?? ''
    if (
      also === STREAM_ERRORS &&
      [UNDESCRIBED, UNCONVERTED, TRANSFERRED].some((pattern) => pattern.test(stack))
    )
      return undefined
    if (typeof code !== 'string') return 'threw an error without a code'
    if (also.includes(code)) return undefined
    if (NEVER.has(code)) return 'threw an error that means a fault of the package'
    if (documented.has(code)) return undefined
    if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
      return syscall === 'getaddrinfo' ? undefined : 'threw an incomplete system error'
    if (!systemErrors.has(code)) return 'threw an error whose code is not documented'
    if (typeof errno !== 'number' || errno >= 0 || typeof syscall !== 'string')
      return 'threw an incomplete system error'
    return undefined
  }
}
