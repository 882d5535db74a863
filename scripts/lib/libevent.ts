// Checks that the system's libevent is installed.
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { root, run } from './run.js'

/** The manifest of the crate that runs the engine beside the system's libevent. */
export const peersManifest = 'crates/conformance/Cargo.toml'

/** Throws if libevent's headers are missing, with the packages to install. */
export async function requireLibevent(): Promise<void> {
  if (!existsSync(join(root, peersManifest))) throw new Error(`${peersManifest} is missing`)
  const found = await run('pkg-config', ['--exists', 'libevent'], { quiet: true })
  if (found.code === 0) return
  throw new Error(
    'The headers of libevent were not found. Install them and pkg-config first:\n' +
      '  Debian, Ubuntu: apt-get install libevent-dev pkg-config\n' +
      '  macOS:          brew install libevent pkg-config\n' +
      '  FreeBSD:        pkg install libevent pkgconf',
  )
}
