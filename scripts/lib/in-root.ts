// Runs a command with another folder as its root, in mount namespaces of its own: nothing on the machine changes.
import type { Processor } from '../../ts/addon/elf.js'
import { run, type Outcome } from './run.js'

/** A folder of this machine at a path below the root. */
export interface Mount {
  readonly from: string
  readonly to: string
  readonly writable?: boolean
}

/** A program that runs the programs of another processor: the user-mode emulation of QEMU. */
export interface Emulator {
  readonly program: string
  /** The folder that the programs of the emulator are registered in. */
  readonly folder: string
  readonly processor: Processor
}

export interface InRoot {
  readonly root: string
  readonly mounts?: readonly Mount[]
  /** The folder of the process, below the root. */
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
  /** Runs the programs in the root, which are for another processor. */
  readonly emulator?: Emulator
  readonly quiet?: boolean
  /** Milliseconds after which the command is killed; none by default. */
  readonly timeout?: number
}

// The kernel starts the emulator for every program of the processor, also for those that such a program starts: the
// kernel's Documentation/admin-guide/binfmt-misc.rst. Since Linux 6.7 a user namespace has registrations of its own.
const REGISTER = `
set -eu
mount -t binfmt_misc binfmt_misc "$1"
printf %s "$2" > "$1/register"
shift 2
exec "$@"
`

/** Bytes as a registration writes them. */
function escaped(bytes: readonly number[]): string {
  return bytes.map((byte) => String.raw`\x${byte.toString(16).padStart(2, '0')}`).join('')
}

/** Describes the programs of a processor by the beginning of their ELF headers. */
function registration({ program, processor }: Emulator): string {
  const { machine, word, little } = processor
  const half = (value: number): number[] => {
    const bytes = [value >> 8, value & 0xff]
    return little ? bytes.toReversed() : bytes
  }
  // Programs are ET_EXEC, 2, or ET_DYN, 3. The byte 7 is the system, which is that of Linux or of System V.
  const magic = [0x7f, 0x45, 0x4c, 0x46, word / 4, little ? 1 : 2, 1, ...Array<number>(9).fill(0)]
  const mask = magic.map((_, index) => (index === 7 ? 0 : 0xff))
  const bytes = [
    [...magic, ...half(2), ...half(machine)],
    [...mask, ...half(0xfffe), ...half(0xffff)],
  ] as const
  // The program is opened when it is registered, because the root does not contain it.
  return `:event-base:M::${bytes.map(escaped).join(':')}:${program}:OCF`
}

// The mounts end with the namespace, which ends with the command.
const MOUNT = `
set -eu
root=$1
folder=$2
shift 2
mount --bind "$root" "$root"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
while [ "$1" != -- ]; do
  mkdir -p "$root$2"
  mount --bind "$1" "$root$2"
  if [ "$3" = ro ]; then mount -o remount,bind,ro "$root$2"; fi
  shift 3
done
shift
exec unshare --root="$root" --wd="$folder" -- "$@"
`

/** Throws if this machine cannot run commands in other roots. */
export function requireRoots(): void {
  if (process.platform !== 'linux' || process.arch !== 'x64' || process.getuid?.() !== 0) {
    throw new Error('Commands run in roots of their own on Linux x64 only, started by root')
  }
}

/** Runs a command. Never rejects: a failure is an outcome. */
export function inRoot(command: string, args: readonly string[], options: InRoot): Promise<Outcome> {
  const { root, folder, mounts = [], env, emulator, ...rest } = options
  const triples = mounts.flatMap(({ from, to, writable = false }) => [from, to, writable ? 'rw' : 'ro'])
  const namespaces = ['--mount', '--propagation', 'private']
  const steps = ['/bin/sh', '-c', MOUNT, 'sh', root, folder, ...triples, '--', command, ...args]
  if (emulator !== undefined) {
    namespaces.push('--user', '--map-root-user')
    steps.unshift('/bin/sh', '-c', REGISTER, 'sh', emulator.folder, registration(emulator))
  }
  const path = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin' }
  return run('unshare', [...namespaces, ...steps], { env: { ...path, ...env }, ...rest })
}
