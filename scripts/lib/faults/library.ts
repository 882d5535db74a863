// Builds the preloaded library.
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { demand, root } from '../run.js'

/** Builds `crates/faults` and returns the path of the library. */
export async function preloadLibrary(): Promise<string> {
  await demand('cargo', ['build', '--quiet', '--package=event-base-faults'])
  const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target')
  const path = join(target, 'debug', 'libevent_base_faults.so')
  if (!existsSync(path)) throw new Error(`cargo has not built ${path}`)
  return path
}
