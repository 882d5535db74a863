// Checks that addons can be loaded on the oldest systems that are supported: the files that are named, or those in the
// folders that are named. Without arguments, those of all platforms in `artifacts`.
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'

import { binaryProblems } from './lib/binaries/check.js'
import { artifact, ARTIFACTS, binaryName, platforms, readManifest } from './lib/platforms.js'
import { closingLine, isGreen } from './lib/results.js'
import { main } from './lib/run.js'

/** The file, or the addons below a folder. */
async function addons(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path]
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  const found = entries.filter((entry) => entry.isFile() && entry.name.endsWith('.node'))
  if (found.length === 0) throw new Error(`no addon in ${path}`)
  return found.map((entry) => join(entry.parentPath, entry.name)).sort()
}

await main(async () => {
  const manifest = await readManifest()
  const known = platforms(manifest)
  const named = process.argv.slice(2)
  const files =
    named.length > 0
      ? (await Promise.all(named.map((path) => addons(resolve(path))))).flat()
      : known.map((platform) => join(ARTIFACTS, artifact(manifest, platform)))
  const totals = { passed: 0, failed: 0, skipped: 0 }
  for (const file of files) {
    const platform = known.find((name) => binaryName(manifest, name) === basename(file))
    if (platform === undefined)
      throw new Error(`${file} is not named after a platform, as ${binaryName(manifest, 'linux-x64-gnu')}`)
    const bytes = await readFile(file).catch(() => undefined)
    const problems = bytes === undefined ? ['it does not exist'] : binaryProblems(bytes, platform)
    totals[problems.length === 0 ? 'passed' : 'failed'] += 1
    console.log(`${problems.length === 0 ? 'ok  ' : 'FAIL'} ${file}: ${bytes?.length ?? 0} bytes`)
    for (const problem of problems) console.log(`       ${problem}`)
  }
  console.log(closingLine(totals))
  return isGreen(totals)
})
