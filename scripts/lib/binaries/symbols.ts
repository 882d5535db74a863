// The functions and variables that the C libraries without versions of symbols have.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

function names(file: string): ReadonlySet<string> {
  return new Set(
    readFileSync(join(import.meta.dirname, file), 'utf8')
      .trim()
      .split(/\s+/),
  )
}

/** All symbols of musl 1.2.3, the one of Alpine 3.16: those of its `libc.so`. */
export const MUSL_SYMBOLS: ReadonlySet<string> = names('musl.txt')

/**
 * Symbols of macOS 11: the functions that `libSystem` and musl both have, and those of Darwin alone that Rust and this
 * package call. Check the version of macOS that introduced a function before adding it.
 */
export const MACOS_SYMBOLS: ReadonlySet<string> = names('macos.txt')
