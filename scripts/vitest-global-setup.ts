import { addonProblem } from './lib/addon.js'
import { buildProblem } from './lib/build.js'

/**
 * Refuses to run the specs with a missing addon, or one that is older than the sources, and builds `dist`, which specs
 * with a process or a worker of their own run.
 */
export default async function setup(): Promise<void> {
  const outdated = await addonProblem()
  if (outdated !== undefined) throw new Error(`${outdated}; run: npm run build:native`)
  const problem = await buildProblem()
  if (problem !== undefined) throw new Error(problem)
}
