import { join } from 'node:path'

import { root, run } from './run.js'

/** Compiles TypeScript into `dist`, as far as it changed. Returns what the compiler said, if it objected. */
export async function buildProblem(): Promise<string | undefined> {
  const compiler = join(root, 'node_modules/typescript/bin/tsc')
  const { code, output } = await run(process.execPath, [compiler, '-p', 'tsconfig.json'], { quiet: true })
  return code === 0 ? undefined : `dist could not be built:\n${output}`
}
