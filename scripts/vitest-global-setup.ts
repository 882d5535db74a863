import { addonProblem } from './lib/addon.js'

/**
 * Refuses to run the specs against a missing or outdated addon, which would test something else than
 * the sources say. An addon named by NAPI_RS_NATIVE_LIBRARY_PATH is taken as it is.
 */
export default async function setup(): Promise<void> {
  if (process.env['NAPI_RS_NATIVE_LIBRARY_PATH']) return
  const problem = await addonProblem()
  if (problem !== undefined) throw new Error(`${problem}; run: npm run build:native`)
}
