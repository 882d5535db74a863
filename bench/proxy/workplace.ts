// What the cases and contenders share.
import { join } from 'node:path'

import { root } from '../../scripts/lib/run.js'
import type { Placement } from './processors.js'

/** What contenders and upstreams need to start. */
export interface Workplace {
  readonly placement: Placement
  /** A folder for configurations. */
  readonly scratch: string
}

const NATIVE = join(root, process.env.CARGO_TARGET_DIR ?? 'target', 'release', 'proxy-bench')

/** A command of the native program with clients and upstreams. */
export function native(...args: readonly (string | number)[]): readonly string[] {
  return [NATIVE, ...args.map(String)]
}
