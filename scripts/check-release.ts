// Rehearses a release: runs the steps of the release workflow against a registry on the loopback interface, and installs
// what was published. `npm run check:release -- [FOLDER]`, where FOLDER has the binaries of every platform.
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { bareEnvironment, writeConsumer } from './lib/consumer.js'
import { temporaryFolder } from './lib/exit.js'
import { conclude } from './lib/failures.js'
import {
  artifact,
  ARTIFACTS,
  binaryName,
  platformPackage,
  platforms,
  readManifest,
  thisPlatform,
  type Manifest,
} from './lib/platforms.js'
import { reportOf, type TestResult } from './lib/results.js'
import { demand, main } from './lib/run.js'
import { install, installers, use, type Installed, type Installer } from './release/installs.js'
import { startRegistry, type Registry } from './release/registry.js'
import { runJob, type JobOutcome } from './release/workflow.js'

/** The number of platform packages that are published when the interrupted release ends. */
const PUBLISHED_THEN = 2

class Rehearsal {
  /** The names of all packages of a release. */
  readonly packages: readonly string[]
  readonly #folder: string
  readonly #manifest: Manifest
  readonly #registry: Registry
  readonly #binaries: ReadonlyMap<string, string>
  #jobs = 0

  constructor(folder: string, manifest: Manifest, registry: Registry, binaries: ReadonlyMap<string, string>) {
    this.#folder = folder
    this.#manifest = manifest
    this.#registry = registry
    this.#binaries = binaries
    this.packages = [manifest.name, ...platforms(manifest).map(platformPackage)]
  }

  /** The variables that make npm publish to the registry. */
  async #publisher(): Promise<NodeJS.ProcessEnv> {
    const { host } = new URL(this.#registry.url)
    const settings = join(this.#folder, 'npmrc')
    await writeFile(settings, `//${host}/:_authToken=rehearsal\n`)
    return {
      npm_config_userconfig: settings,
      npm_config_registry: this.#registry.url,
      // Provenance needs the identity of a workflow.
      NPM_CONFIG_PROVENANCE: 'false',
    }
  }

  /** Runs the workflow for a version. */
  async release(version: string, interrupt?: AbortSignal): Promise<JobOutcome> {
    this.#jobs += 1
    return runJob({
      folder: join(this.#folder, `release-${this.#jobs}`),
      version,
      binaries: this.#binaries,
      env: await this.#publisher(),
      ...(interrupt !== undefined && { interrupt }),
    })
  }

  /** The packages that have a version. */
  async published(version: string): Promise<string[]> {
    const found = await Promise.all(
      this.packages.map(
        async (name) => (await this.#registry.packument(name))?.versions[version] !== undefined,
      ),
    )
    return this.packages.filter((_, index) => found[index])
  }

  /** The version that a tag names. */
  async tagged(tag: string): Promise<string | undefined> {
    return (await this.#registry.packument(this.#manifest.name))?.['dist-tags'][tag]
  }
}

function expect(holds: boolean, message: string): void {
  if (!holds) throw new Error(message)
}

function list(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ')
}

/** The binaries in a folder, by platform. Throws if one is missing. */
function binariesIn(folder: string, manifest: Manifest): Map<string, string> {
  const found = new Map<string, string>()
  const missing: string[] = []
  for (const platform of platforms(manifest)) {
    const file = [binaryName(manifest, platform), artifact(manifest, platform)]
      .map((name) => join(folder, name))
      .find((path) => existsSync(path))
    if (file === undefined) missing.push(platform)
    else found.set(platform, file)
  }
  if (missing.length > 0) {
    throw new Error(`${folder} has no binaries for ${missing.join(', ')}; run: npm run build:platforms`)
  }
  return found
}

function describe({ seconds, platforms: names, bytes }: Installed): string {
  return `${seconds.toFixed(1)} s, event-base and ${list(names)}, ${(bytes / 1e6).toFixed(2)} MB`
}

await main(async () => {
  const { positionals } = parseArgs({ allowPositionals: true })
  const manifest = await readManifest()
  const here = thisPlatform(manifest)
  const { name, version } = manifest
  const binaries = binariesIn(resolve(positionals[0] ?? ARTIFACTS), manifest)
  const folder = temporaryFolder('release')
  const registry = await startRegistry(join(folder, 'registry'))
  const rehearsal = new Rehearsal(folder, manifest, registry, binaries)
  const everything = rehearsal.packages
  const results: TestResult[] = []
  let users = 0

  const check = async (title: string, body: () => Promise<string | void>): Promise<boolean> => {
    try {
      const detail = await body()
      console.log(`ok   ${title}${detail === undefined ? '' : `: ${detail}`}`)
      results.push({ name: title, outcome: 'passed' })
      return true
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      console.log(`FAIL ${title}\n     ${message.split('\n').slice(-12).join('\n     ')}`)
      results.push({ name: title, outcome: 'failed', message })
      return false
    }
  }

  /** A user with an empty folder and an empty cache. */
  const user = async (installer: Installer): Promise<{ at: string; env: NodeJS.ProcessEnv }> => {
    users += 1
    const home = join(folder, `user-${users}`)
    const at = join(home, 'project')
    await mkdir(at, { recursive: true })
    const bare = await bareEnvironment(home, await installer.programs?.())
    const env = {
      ...bare,
      npm_config_registry: registry.url,
      NPM_CONFIG_REGISTRY: registry.url,
      npm_config_audit: 'false',
      npm_config_fund: 'false',
      XDG_CACHE_HOME: join(home, '.cache'),
      COREPACK_ENABLE_STRICT: '0',
    }
    await writeConsumer(at, here)
    for (const [file, text] of Object.entries(installer.files?.(registry.url) ?? {})) {
      await writeFile(join(at, file), text)
    }
    return { at, env }
  }

  const succeeds = async (wanted: string): Promise<string> => {
    const { passed, output } = await rehearsal.release(wanted)
    expect(passed, output)
    const published = await rehearsal.published(wanted)
    expect(published.length === everything.length, `published: ${list(published)}`)
    return output
  }

  const isReleased = await check(`release ${version}`, async () => {
    await succeeds(version)
    expect((await rehearsal.tagged('latest')) === version, 'the tag "latest" is not set')
  })
  // Everything else needs the packages.
  if (!isReleased) return conclude([reportOf(results)])
  await check('a second run publishes nothing', async () => {
    const output = await succeeds(version)
    const skipped = output.match(/ is (?:already published|published already)$/gm) ?? []
    expect(
      skipped.length === everything.length,
      `it skipped ${skipped.length} of ${everything.length}:\n${output}`,
    )
  })

  for (const installer of installers) {
    await check(`install by ${installer.name}`, async () => {
      const { at, env } = await user(installer)
      const installed = await install(installer.install, at, env)
      await use(installer.uses, at, env)
      return describe(installed)
    })
  }
  const [npm] = installers
  if (npm === undefined) throw new Error('npm is not among the installers')
  await check('npm ci from the lock file that npm install has written', async () => {
    const { at, env } = await user(npm)
    await demand('npm', ['install', '--package-lock-only', name], { cwd: at, env })
    const installed = await install(['npm', 'ci'], at, env)
    await use(npm.uses, at, env)
    return describe(installed)
  })
  for (const platform of platforms(manifest)) {
    const [os = '', cpu = '', abi] = platform.split('-')
    const options = [`--os=${os}`, `--cpu=${cpu}`]
    if (os === 'linux') options.push(`--libc=${abi === 'musl' ? 'musl' : 'glibc'}`)
    await check(`npm install ${options.join(' ')}`, async () => {
      const { at, env } = await user(npm)
      const installed = await install(['npm', 'install', ...options, name], at, env)
      expect(
        list(installed.platforms) === platform,
        `it has installed the platforms ${list(installed.platforms)}`,
      )
      return describe(installed)
    })
  }

  const [major = '0', minor = '0', patch = '0'] = version.split(/[.-]/)
  const next = `${major}.${minor}.${Number(patch) + 1}`
  const prerelease = `${next}-rc.1`
  await check(`the prerelease ${prerelease} has the tag "next"`, async () => {
    await succeeds(prerelease)
    const [latest, tagged] = [await rehearsal.tagged('latest'), await rehearsal.tagged('next')]
    expect(latest === version && tagged === prerelease, `"latest" is ${latest}, "next" is ${tagged}`)
  })
  await check(`the release ${next} is interrupted, and published by a second run`, async () => {
    const interrupt = new AbortController()
    const running = rehearsal.release(next, interrupt.signal)
    const isPartlyPublished = async (): Promise<void> => {
      while (!interrupt.signal.aborted && (await rehearsal.published(next)).length < PUBLISHED_THEN) {
        await sleep(50)
      }
    }
    await Promise.race([isPartlyPublished(), running])
    interrupt.abort()
    expect(!(await running).passed, 'it had ended before it could be interrupted')
    const then = await rehearsal.published(next)
    expect(then.length < everything.length && !then.includes(name), `published: ${list(then)}`)
    expect((await rehearsal.tagged('latest')) === version, 'the tag "latest" has moved')
    await succeeds(next)
    expect((await rehearsal.tagged('latest')) === next, 'the tag "latest" has not moved')
    return `${then.length} of ${everything.length} packages were there`
  })
  return conclude([reportOf(results)])
})
