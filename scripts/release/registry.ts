// A registry of npm packages on the loopback interface.
import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { stringify } from 'yaml'

import { cachedPackage } from '../lib/cached-package.js'
import { endWithThis } from '../lib/exit.js'

/** What the registry knows of a package. */
export interface Packument {
  readonly versions: Readonly<Record<string, { readonly os?: readonly string[] }>>
  readonly 'dist-tags': Readonly<Record<string, string>>
}

export interface Registry {
  /** Its address, with a slash at the end. */
  readonly url: string
  /** What it knows of a package; `undefined` if it does not have it. */
  readonly packument: (name: string) => Promise<Packument | undefined>
}

/** Milliseconds until the registry answers. */
const START = 60_000

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Starts an empty registry, which ends with this process. It has only what is published to it. */
export async function startRegistry(folder: string): Promise<Registry> {
  // The last release for Node 20. Its dependency `node-fetch` is of a version that some registries lack.
  const verdaccio = await cachedPackage('verdaccio', '6.8.0', { 'node-fetch': '2.7.0' })
  const url = `http://127.0.0.1:${await freePort()}/`
  const config = {
    storage: join(folder, 'storage'),
    uplinks: {},
    packages: { '**': { access: '$all', publish: '$all', unpublish: '$all' } },
    auth: { htpasswd: { file: join(folder, 'htpasswd'), max_users: -1 } },
    web: { enable: false },
    log: { type: 'file', path: join(folder, 'registry.log'), level: 'warn' },
    max_body_size: '50mb',
  }
  await mkdir(folder, { recursive: true })
  const file = join(folder, 'config.yaml')
  await writeFile(file, stringify(config))
  const args = [join(verdaccio, 'bin', 'verdaccio'), '--config', file, '--listen', url]
  const child = endWithThis(spawn(process.execPath, args, { stdio: 'ignore' }))
  // It does not keep this process alive.
  child.unref()
  const packument = async (name: string): Promise<Packument | undefined> => {
    const response = await fetch(`${url}${name.replace('/', '%2f')}`)
    if (response.status === 404) return undefined
    if (!response.ok) throw new Error(`the registry answers ${response.status} for ${name}`)
    return (await response.json()) as Packument
  }
  const giveUp = performance.now() + START
  for (;;) {
    const answers = await fetch(`${url}-/ping`).then(
      ({ ok }) => ok,
      () => false,
    )
    if (answers) return { url, packument }
    if (child.exitCode !== null) throw new Error(`the registry ended with ${child.exitCode}`)
    if (performance.now() > giveUp) throw new Error('the registry does not answer')
    await sleep(100)
  }
}
