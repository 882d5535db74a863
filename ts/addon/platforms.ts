/** What `npm run platform-packages` generates from package.json for the loader. */

/** The version of the package, which is that of its addon. */
export const VERSION = '0.1.0'

/** The platforms that have an addon. */
export const PLATFORMS: readonly string[] = [
  'linux-x64-gnu',
  'linux-arm64-gnu',
  'linux-x64-musl',
  'linux-arm64-musl',
  'linux-riscv64-gnu',
  'linux-ppc64-gnu',
  'linux-s390x-gnu',
  'linux-loong64-gnu',
  'linux-arm-gnueabihf',
  'darwin-x64',
  'darwin-arm64',
  'freebsd-x64',
]
