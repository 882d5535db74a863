import { addonProblem } from './lib/addon.js'
import { buildProblem } from './lib/build.js'

/**
 * Refuses to run the specs against a missing or outdated addon, which would test something else than
 * the sources say, and brings `dist` up to date: specs that need a process or a worker of their own run
 * what is shipped. An addon named by EVENT_BASE_ADDON is taken as it is.
 */
export default async function setup(): Promise<void> {
  if (!process.env['EVENT_BASE_ADDON']) {
    const problem = await addonProblem()
    if (problem !== undefined) throw new Error(`${problem}; run: npm run build:native`)
  }
  const problem = await buildProblem()
  if (problem !== undefined) throw new Error(problem)
}
