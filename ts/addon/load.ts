/** Finds the native addon of this platform and loads it. */

import module from 'node:module'

import { readElf } from './elf.js'
import { dlopenError, loadError, REINSTALL } from './failure.js'
import { thisPlatform, thisProcessor } from './platform.js'
import { PLATFORMS, VERSION } from './platforms.js'

type Require = ReturnType<typeof module.createRequire>

/**
 * This file, or the bundle that contains it. A bundler that writes CommonJS may leave `import.meta` empty. webpack
 * replaces the calls of `createRequire` where an import has that name, so this file imports the module.
 */
const here: string = (import.meta.url as string | undefined) ?? __filename

/** The path that a request resolves to, if there is one. */
function resolve(require: Require, request: string): string | undefined {
  try {
    return require.resolve(request)
  } catch {
    return undefined
  }
}

/** The name of the package that has the addon of a platform. */
function packageOf(platform: string): string {
  return `@event-base/${platform}`
}

/** The error for an addon that is not installed; `isInstalled` is whether the package itself is. */
function missing(require: Require, platform: string, isInstalled: boolean): Error {
  const name = packageOf(platform)
  const text = `The native addon for ${platform} is not installed`
  if (!isInstalled) {
    return loadError(
      'ERR_EVENT_ADDON_MISSING',
      `${text}: neither event-base nor ${name} is found from the bundle ${here}; ` +
        'mark event-base as external in the bundler and install it beside the bundle',
    )
  }
  const other = PLATFORMS.find((known) => resolve(require, packageOf(known)) !== undefined)
  return loadError(
    'ERR_EVENT_ADDON_MISSING',
    other === undefined
      ? `${text}: the optional dependency ${name} is missing; run npm install --include=optional, and if that does ` +
          'not help, the lock file lacks it (https://github.com/npm/cli/issues/4828): delete package-lock.json and ' +
          'node_modules and install again'
      : `${text}, but the one for ${other} is: ${REINSTALL}`,
  )
}

/** Throws an error if the file cannot be an addon for this process: loading it could crash the process. */
function inspect(file: string): void {
  if (process.platform === 'darwin') return
  let elf
  try {
    elf = readElf(file)
  } catch {
    // The call that loads the file reports why it cannot be read. It may also have permissions that reading has not.
    return
  }
  if (elf === undefined) {
    throw loadError(
      'ERR_EVENT_ADDON_DAMAGED',
      `The native addon ${file} is damaged: it is not an ELF file; ${REINSTALL}`,
    )
  }
  if (elf.size < elf.wanted) {
    throw loadError(
      'ERR_EVENT_ADDON_DAMAGED',
      `The native addon ${file} is damaged: it has ${elf.size} bytes of at least ${elf.wanted}; ${REINSTALL}`,
    )
  }
  const processor = thisProcessor()
  if (elf.arch !== processor) {
    throw loadError(
      'ERR_EVENT_ADDON_FOREIGN',
      `The native addon ${file} is for ${elf.arch ?? 'another processor'}, and this process runs on ` +
        `${processor}; ${REINSTALL}`,
    )
  }
}

/** Loads an addon. */
function open(require: Require, file: string): object {
  inspect(file)
  let addon: { readonly version?: unknown }
  try {
    addon = require(file) as typeof addon
  } catch (error) {
    throw dlopenError(file, error)
  }
  const version = typeof addon.version === 'function' ? String(addon.version()) : 'unknown'
  if (version !== VERSION) {
    throw loadError(
      'ERR_EVENT_ADDON_VERSION',
      `The native addon ${file} is of version ${version}, and event-base of version ${VERSION}: ` +
        'install both in the same version',
    )
  }
  return addon
}

/**
 * Loads the native addon: the file that `NAPI_RS_NATIVE_LIBRARY_PATH` names, or the one built in this folder, or the one
 * of the platform's package.
 *
 * @throws an error with a `LoadErrorCode`
 */
export function loadAddon(): object {
  const fromHere = module.createRequire(here)
  const named = process.env['NAPI_RS_NATIVE_LIBRARY_PATH']
  if (named) {
    const file = resolve(fromHere, named)
    if (file !== undefined) return open(fromHere, file)
    const text = `NAPI_RS_NATIVE_LIBRARY_PATH names ${JSON.stringify(named)}, which does not exist`
    throw loadError('ERR_EVENT_ADDON_MISSING', text)
  }
  const platform = thisPlatform()
  if (!PLATFORMS.includes(platform)) {
    const remedy =
      process.platform === 'win32'
        ? ''
        : '; build it from source, and set NAPI_RS_NATIVE_LIBRARY_PATH to its path'
    throw loadError(
      'ERR_EVENT_ADDON_UNSUPPORTED',
      `There is no native addon for ${platform}, only for ${PLATFORMS.join(', ')}${remedy}`,
    )
  }
  // The package finds itself by its name, also from a bundle beside which it is installed.
  const manifest = resolve(fromHere, 'event-base/package.json')
  const fromPackage = manifest === undefined ? fromHere : module.createRequire(manifest)
  const file =
    (manifest === undefined ? undefined : resolve(fromPackage, `./event-base.${platform}.node`)) ??
    resolve(fromPackage, packageOf(platform))
  if (file === undefined) throw missing(fromPackage, platform, manifest !== undefined)
  return open(fromPackage, file)
}
