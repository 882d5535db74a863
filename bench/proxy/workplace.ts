import { join } from 'node:path'

import { root } from '../../scripts/lib/run.js'
import type { Placement } from './processors.js'

/** What it takes to start things. */
export interface Workplace {
  readonly placement: Placement
  /** A folder for configurations. */
  readonly scratch: string
}

const NATIVE = join(root, process.env.CARGO_TARGET_DIR ?? 'target', 'release', 'proxy-bench')

/** A command of the native program that stands around the proxies. */
export function native(...args: readonly (string | number)[]): readonly string[] {
  return [NATIVE, ...args.map(String)]
}
