// Refuses `npm publish` outside the release workflow, because the package would not find its binaries.
// `npm publish --dry-run` runs this hook too and is allowed.
import { access } from 'node:fs/promises'
import { join } from 'node:path'

import { platformDependencies, readManifest } from './lib/platforms.js'
import { main, root } from './lib/run.js'

await main(async () => {
  for (const file of ['dist/index.js', 'dist/net.js', 'dist/ts/cli/main.js', 'binding.d.ts']) {
    await access(join(root, file))
  }
  if (process.env['npm_config_dry_run'] === 'true') return true
  if (process.env['EVENT_BASE_RELEASE'] !== '1') {
    throw new Error('Only the release workflow publishes: see CONTRIBUTING.md.')
  }
  const manifest = await readManifest()
  const named = manifest.optionalDependencies ?? {}
  for (const [name, version] of Object.entries(platformDependencies(manifest))) {
    if (named[name] !== version) throw new Error(`package.json does not depend on ${name} ${version}`)
  }
  return true
})
