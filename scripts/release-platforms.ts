// Publishes the platform packages and adds them to package.json, before the root package is published.
// The release workflow runs it after `napi artifacts`. `--dry-run` publishes nothing and does not change package.json.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { binaryProblems } from './lib/binaries/check.js'
import {
  binaryName,
  platformDependencies,
  platformPackage,
  platforms,
  readManifest,
} from './lib/platforms.js'
import { main, root, run } from './lib/run.js'

/** Whether npm already has this version, as after a release that failed in the middle. */
async function isPublished(name: string, version: string): Promise<boolean> {
  const { code, output } = await run('npm', ['view', `${name}@${version}`, 'version'], { quiet: true })
  if (code === 0) return output.includes(version)
  if (output.includes('E404')) return false
  throw new Error(`npm could not be queried for ${name}:\n${output}`)
}

await main(async () => {
  const dryRun = process.argv.includes('--dry-run')
  const manifest = await readManifest()

  // All are checked before the first is published, because publishing cannot be undone.
  for (const platform of platforms(manifest)) {
    const folder = join(root, 'npm', platform)
    const binary = join(folder, binaryName(manifest, platform))
    const problems = binaryProblems(await readFile(binary), platform)
    if (problems.length > 0) throw new Error([`${binary} must not be published:`, ...problems].join('\n  '))
    const { name, version } = JSON.parse(
      await readFile(join(folder, 'package.json'), 'utf8'),
    ) as typeof manifest
    if (name !== platformPackage(platform) || version !== manifest.version) {
      throw new Error(`npm/${platform} is ${name} ${version}; run npm run platform-packages`)
    }
  }

  for (const platform of platforms(manifest)) {
    const name = platformPackage(platform)
    if (!dryRun && (await isPublished(name, manifest.version))) {
      console.log(`${name} ${manifest.version} is already published`)
      continue
    }
    const args = [
      'publish',
      join(root, 'npm', platform),
      '--access',
      'public',
      ...(dryRun ? ['--dry-run'] : []),
    ]
    if ((await run('npm', args)).code !== 0) return false
  }
  if (dryRun) return true

  const file = join(root, 'package.json')
  const repository = JSON.parse(await readFile(file, 'utf8')) as object
  const published = { ...repository, optionalDependencies: platformDependencies(manifest) }
  await writeFile(file, `${JSON.stringify(published, null, 2)}\n`)
  return true
})
