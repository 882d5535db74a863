import { readFile } from 'node:fs/promises'

import { describe, expect, it } from 'vitest'

import { loadAddon } from '../../ts/addon/load.js'
import { PLATFORMS } from '../../ts/addon/platforms.js'

const root = new URL('../../', import.meta.url)

async function manifest(path: string): Promise<{ version: string }> {
  return JSON.parse(await readFile(new URL(path, root), 'utf8')) as { version: string }
}

describe('C-002: the version', () => {
  it('is the same in the package, the crates and every platform package', async () => {
    const { version } = await manifest('package.json')
    expect(version).toMatch(/^\d+\.\d+\.\d+$/)
    const cargo = await readFile(new URL('Cargo.toml', root), 'utf8')
    expect(/^\[workspace\.package\]\s+version = "([^"]+)"/m.exec(cargo)?.[1]).toBe(version)
    for (const platform of PLATFORMS) {
      expect((await manifest(`npm/${platform}/package.json`)).version).toBe(version)
    }
  })

  it('is the version that the addon was built for', async () => {
    const { version } = await manifest('package.json')
    const addon = loadAddon() as { version(): string }
    expect(addon.version()).toBe(version)
  })
})
