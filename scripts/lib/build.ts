// Compiles `dist`.
import { join } from 'node:path'

import { root, run } from './run.js'

/** Compiles TypeScript into `dist`. Returns the compiler's errors, if there are any. */
export async function buildProblem(): Promise<string | undefined> {
  const compiler = join(root, 'node_modules/typescript/bin/tsc')
  const { code, output } = await run(process.execPath, [compiler, '-p', 'tsconfig.json'], { quiet: true })
  return code === 0 ? undefined : `dist could not be built:\n${output}`
}
