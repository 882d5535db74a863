// Writes the files that follow from package.json: the loader's list of platforms, and the manifest, README and license of
// each platform package. `npm run check` checks that they are current.
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { generateFiles, readGeneratedFiles } from './lib/platforms.js'
import { main, root } from './lib/run.js'

await main(async () => {
  const wanted = await generateFiles()
  for (const path of (await readGeneratedFiles()).keys()) {
    if (!wanted.has(path)) await rm(join(root, path), { force: true })
  }
  for (const [path, text] of wanted) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
  return true
})
