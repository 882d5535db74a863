// Settings of cargo that several scripts use.
import { join } from 'node:path'

import { root } from './run.js'

/** A folder for the output of another compiler or other flags, which would replace the usual output otherwise. */
export function targetFolder(name: string): string {
  return join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), name)
}

/** Allows the `-Z` options of rustc and cargo with a stable compiler. */
export const unstableOptions = { RUSTC_BOOTSTRAP: '1' }
