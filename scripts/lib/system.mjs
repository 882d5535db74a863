/**
 * What the system reports about processes: from `/proc` on Linux, and otherwise from `ps` and by probing. Specs read
 * `/proc` only through this file. JavaScript, so that fixtures can use it as well.
 */

import { spawnSync } from 'node:child_process'
import { existsSync, fstatSync, readFileSync, readdirSync, readlinkSync } from 'node:fs'

/** Whether the system has `/proc` in the form of Linux: proc(5). The variable tries what other systems use. */
const hasProc = process.env['EVENT_BASE_TEST_WITHOUT_PROC'] === undefined && existsSync('/proc/self/fd')

/** Numbers that are probed where no folder lists the open descriptors. The specs open fewer. */
const PROBED = 4096

/**
 * Whether a number names an open descriptor of this process.
 *
 * @param {number} fd
 */
export function isOpen(fd) {
  try {
    fstatSync(fd)
    return true
  } catch {
    return false
  }
}

/** @returns {number[]} the open descriptors of this process */
function probedDescriptors() {
  return Array.from({ length: PROBED }, (_, fd) => fd).filter(isOpen)
}

/**
 * @param {string} field a keyword of ps(1)
 * @param {number} pid
 */
function ps(field, pid) {
  const { stdout, status } = spawnSync('ps', ['-o', `${field}=`, '-p', String(pid)], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ps -o ${field} does not know the process ${pid}`)
  return stdout.trim()
}

/** @returns {number} the number of open descriptors of this process */
export function openDescriptors() {
  // The descriptor that reads the folder is in the list too.
  return hasProc ? readdirSync('/proc/self/fd').length - 1 : probedDescriptors().length
}

/**
 * The number of open descriptors of a process by their kind, such as `socket`. Only Linux distinguishes the kinds without
 * a file type, such as `eventpoll`, and reports those of other processes.
 *
 * @param {number | 'self'} [pid]
 */
export function descriptors(pid = 'self') {
  if (!hasProc && pid !== 'self')
    throw new Error('the descriptors of another process are known on Linux only')
  /** @type {Record<string, number>} */
  const kinds = {}
  for (const kind of hasProc ? procKinds(pid) : probedDescriptors().map(kindOf))
    kinds[kind] = (kinds[kind] ?? 0) + 1
  return kinds
}

/**
 * The open descriptors of a process on Linux, and what each refers to: `socket:[12]`, `pipe:[34]`,
 * `anon_inode:[eventpoll]`, or a path.
 *
 * @param {number | 'self'} [pid]
 * @returns {Map<number, string>}
 */
export function descriptorTargets(pid = 'self') {
  const targets = new Map()
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    try {
      targets.set(Number(name), readlinkSync(`/proc/${pid}/fd/${name}`))
    } catch {
      // It was closed meanwhile; in this process, the descriptor that read the folder.
    }
  }
  return targets
}

/**
 * @param {number | 'self'} pid
 * @returns {string[]}
 */
function procKinds(pid) {
  return [...descriptorTargets(pid).values()].map(
    (target) => /^(?:anon_inode:\[?)?(\w+)(?::\[\d+\]|\])?$/.exec(target)?.[1] ?? 'file',
  )
}

/** @param {number} fd */
function kindOf(fd) {
  const stats = fstatSync(fd)
  return stats.isSocket() ? 'socket' : stats.isFIFO() ? 'pipe' : 'file'
}

/** @returns {number} the number of threads of this process */
export function threads() {
  if (hasProc) return readdirSync('/proc/self/task').length
  // A line for each thread, behind a headline: macOS, FreeBSD.
  const flag = process.platform === 'darwin' ? '-M' : '-H'
  const { stdout } = spawnSync('ps', [flag, '-p', String(process.pid)], { encoding: 'utf8' })
  return stdout.trim().split('\n').length - 1
}

/** Whether the system reports which signals a process has handlers for. ps(1) of macOS does not. */
export const reportsHandlers = hasProc || process.platform === 'freebsd'

/**
 * Whether a process has a handler for a signal.
 *
 * @param {number} signal
 * @param {number} [pid]
 */
export function hasHandler(signal, pid = process.pid) {
  if (!reportsHandlers) throw new Error('the system does not report handlers: see reportsHandlers')
  // The mask of caught signals, in hexadecimal.
  const mask = hasProc
    ? /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
    : ps('sigcatch', pid)
  return ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n
}

/**
 * Whether a process is stopped by a signal.
 *
 * @param {number} pid
 */
export function isStopped(pid) {
  const state = hasProc ? statOf(pid)[0] : ps('stat', pid)
  return state?.startsWith('T') === true
}

/**
 * The fields of `/proc/PID/stat` from the state on, the third: proc_pid_stat(5). The name of the program, in parentheses
 * before it, may contain any character.
 *
 * @param {number} pid
 */
function statOf(pid) {
  return readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? []
}

/**
 * The seconds of processor time that a process has used, including threads that have ended.
 *
 * @param {number} pid
 */
export function processorSeconds(pid) {
  if (hasProc) {
    const fields = statOf(pid)
    // Linux counts in 1/100 s for user space on every architecture that Node supports.
    return (Number(fields[11]) + Number(fields[12])) / 100
  }
  // [[days-]hours:]minutes:seconds, with a fraction on macOS and FreeBSD.
  const [seconds = 0, minutes = 0, hours = 0, days = 0] = ps('time', pid)
    .split(/[-:]/)
    .map(Number)
    .toReversed()
  return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
}

/**
 * The nanoseconds that each thread of a process on Linux has run, and has waited for a processor:
 * `/proc/PID/task/TID/schedstat`.
 *
 * @param {number} pid
 * @returns {Map<string, [ran: number, waited: number]>}
 */
export function threadTimes(pid) {
  const times = new Map()
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      const text = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1')
      const [ran = 0, waited = 0] = text.split(' ').map(Number)
      times.set(task, [ran, waited])
    } catch {
      // The thread has ended.
    }
  }
  return times
}

/**
 * The memory of a process on Linux in bytes: what is in memory, and the same with shared pages divided by the number of
 * processes that share them.
 *
 * @param {number} pid
 */
export function memory(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')
  /** @param {string} name */
  const bytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) * 1024
  return { resident: bytes('Rss'), proportional: bytes('Pss') }
}

/**
 * The most bytes that one TCP socket buffers: tcp(7). On other systems an upper bound.
 *
 * @param {'tcp_rmem' | 'tcp_wmem'} name to read, or to write
 */
export function largestBuffer(name) {
  if (!hasProc) return 32 * 2 ** 20
  return Number(readFileSync(`/proc/sys/net/ipv4/${name}`, 'latin1').trim().split(/\s+/)[2])
}
