import { addonProblem } from './lib/addon.js'
import { buildProblem } from './lib/build.js'

/**
 * Refuses to run the specs with a missing addon, or one that is older than the sources, and builds `dist`, which specs
 * with a process or a worker of their own run. An addon named by EVENT_BASE_ADDON is not checked.
 */
export default async function setup(): Promise<void> {
  if (!process.env['EVENT_BASE_ADDON']) {
    const problem = await addonProblem()
    if (problem !== undefined) throw new Error(`${problem}; run: npm run build:native`)
  }
  const problem = await buildProblem()
  if (problem !== undefined) throw new Error(problem)
}
