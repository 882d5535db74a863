// The oldest versions of glibc that the addons run on.

/** The version of CentOS 7, which is the oldest that Rust supports on most processors. */
const COMMON = '2.17'

/** The first version for a processor, where it is newer: zig's table of C libraries, `lib/std/zig/target.zig`. */
const FIRST: ReadonlyMap<string, string> = new Map([
  ['riscv64', '2.27'],
  ['ppc64', '2.19'],
  ['loong64', '2.36'],
])

/**
 * The oldest glibc that a platform's addon runs on; `undefined` for a platform without glibc.
 *
 * @param platform the name of a platform, such as `linux-x64-gnu`
 */
export function oldestGlibc(platform: string): string | undefined {
  const [system, arch = '', libc = ''] = platform.split('-')
  if (system !== 'linux' || !libc.startsWith('gnu')) return undefined
  return FIRST.get(arch) ?? COMMON
}
