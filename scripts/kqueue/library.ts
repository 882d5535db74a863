// libkqueue, which implements kqueue(2) on Linux, in the user's cache folder.
//
// It is the compiled package of Debian's experimental suite. The suite lists the source package of the same version, but
// the archive's mirrors need not have its files: a request for them can return 404.
import { join } from 'node:path'

import { cached, cacheFolder } from '../lib/cache.js'
import { addDebian } from '../lib/debian.js'
import { demand } from '../lib/run.js'

/** The version whose faults `faults.ts` lists. */
export const VERSION = '2.3.1-1.1~exp1'

const PACKAGES = ['libkqueue0t64', 'libkqueue-dev'].map((name) => `${name}=${VERSION}`)

/** The installed library. */
export interface Library {
  /** The folder of `libkqueue.so`. */
  readonly libraries: string
  /** The folder of `sys/event.h`. */
  readonly headers: string
}

/** Installs the library, unless it is installed. */
export async function installLibrary(): Promise<Library> {
  const arch = (await demand('dpkg', ['--print-architecture'])).trim()
  const system = { release: 'experimental', arch } as const
  const inputs = JSON.stringify([system, PACKAGES])
  const folder = await cached(cacheFolder('libkqueue'), inputs, (into) => addDebian(into, system, PACKAGES))
  const triple = (await demand('cc', ['-print-multiarch'])).trim()
  return { libraries: join(folder, 'usr/lib', triple), headers: join(folder, 'usr/include/kqueue') }
}
