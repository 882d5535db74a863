// Writes npm/<platform>/package.json and README.md; `npm run check` checks that they are current.
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { generatePlatformPackages, readTexts } from './lib/platforms.js'
import { main, root } from './lib/run.js'

await main(async () => {
  const folder = join(root, 'npm')
  await mkdir(folder, { recursive: true })
  const wanted = await generatePlatformPackages()
  for (const path of (await readTexts(folder)).keys()) {
    if (!wanted.has(path)) await rm(join(folder, path))
  }
  for (const [path, text] of wanted) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
  return true
})
