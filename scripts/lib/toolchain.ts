// The compilers that build the addon for every platform, in the user's cache folder: Rust with the sources of its
// standard library from Debian, zig (linker, C libraries of the targets) and cargo-zigbuild from PyPI.
import { rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'

import { cached, cacheFolder } from './cache.js'
import { addDebian, unpackDebian } from './debian.js'
import { inRoot } from './in-root.js'
import { installWheels } from './wheels.js'

/** The version of Rust. Debian replaces its packages, so a newer one has to be taken over here. */
export const RUST = '1.96.0'

const DEBIAN = { release: 'bookworm', arch: 'amd64', security: true } as const
// The last two are the programs that remove symbols, of the LLVM that this rustc uses, and the shell: cargo-zigbuild
// starts zig with scripts.
const PACKAGES = ['rustc-web', 'cargo-web', 'rust-web-src', 'llvm-22', 'dash']

/** The standard library of glibc systems, compiled by Debian. Those of other systems are compiled from the sources. */
const COMPILED = 'libstd-rust-web-dev'
const COMPILED_FOR: ReadonlyMap<string, string> = new Map([
  ['x86_64-unknown-linux-gnu', 'amd64'],
  ['aarch64-unknown-linux-gnu', 'arm64'],
])

/** Whether the standard library has to be compiled for a target. */
export function lacksLibrary(triple: string): boolean {
  return !COMPILED_FOR.has(triple)
}

/** The wheels, by the hash of their contents. */
const WHEELS = [
  'cargo-zigbuild==0.24.1 --hash=sha256:238a1ab54a95053a4eadc34775c81f795a8ad75f80bfed63f3f445f518102375',
  'ziglang==0.17.1 --hash=sha256:ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54',
]

/** The platforms of wheels that run on Linux x64. */
const WHEEL_PLATFORMS = ['manylinux_2_12_x86_64', 'manylinux1_x86_64']

/** All that decides which compilers are used. */
export const TOOLCHAIN: string = JSON.stringify([RUST, DEBIAN, PACKAGES, [...COMPILED_FOR], WHEELS])

/** The folder of the standard library's sources in {@link installToolchain}'s root. */
export const LIBRARY = '/usr/lib/rustlib/src/rust/library'

/** Installs the compilers, unless they are installed. Returns a folder that a process can have as its root. */
export async function installToolchain(): Promise<string> {
  return cached(cacheFolder('platforms', 'toolchain'), TOOLCHAIN, async (root) => {
    console.log('--- installing the compilers')
    await unpackDebian(root, DEBIAN, PACKAGES)
    for (const arch of COMPILED_FOR.values()) {
      if (arch !== DEBIAN.arch) await addDebian(root, { ...DEBIAN, arch }, [COMPILED])
    }
    // What the packages do when they are configured. Build scripts are linked by cc.
    await symlink('gcc', join(root, 'usr/bin/cc'))
    // The name by which rustc calls it for macOS. rustup has this program, the package of Debian has not.
    await symlink('llvm-objcopy-22', join(root, 'usr/bin/rust-objcopy'))
    await rm(join(root, 'usr/bin/sh'), { force: true })
    await symlink('dash', join(root, 'usr/bin/sh'))
    await installWheels(join(root, 'tools'), WHEELS, WHEEL_PLATFORMS)
    await symlink('../ziglang/zig', join(root, 'tools/bin/zig'))
    const { output } = await inRoot('rustc', ['--version'], { root, folder: '/', env: {}, quiet: true })
    if (!output.startsWith(`rustc ${RUST} `)) {
      throw new Error(`Debian has ${output.trim()} instead of rustc ${RUST}: change scripts/lib/toolchain.ts`)
    }
  })
}
