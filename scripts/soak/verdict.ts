// The verdict on a subject: what is measured after the load, and the bounds.
import { setTimeout as sleep } from 'node:timers/promises'

import { descriptors, memory } from '../lib/system.mjs'
import type { Moved } from './load.js'

const MEBIBYTE = 2 ** 20

/** The most that resident memory may grow between the middle and the end, in bytes. */
export const MOST_RESIDENT: number = 16 * MEBIBYTE
/** The most that a heap may grow between the middle and the end, in bytes. */
export const MOST_HEAP: number = 4 * MEBIBYTE
/**
 * The most processor time that a process may use while its connections are idle, as a share of one processor. A loop
 * that spins uses a whole one; the timers of Node and of the programs use up to 0.1 on a slow virtual machine.
 */
export const MOST_PROCESSOR = 0.25

/** Milliseconds in which everything of connections that have ended is closed. */
const PATIENCE = 30_000
/** Milliseconds between two readings of descriptors. */
const INTERVAL = 250

/** What a quiet process has. */
export interface Reading {
  readonly descriptors: Readonly<Record<string, number>>
  readonly resident: number
  readonly heap: number | undefined
}

/** Everything that the verdict on a subject needs. */
export interface Findings {
  readonly before: Reading
  readonly middle: Reading
  readonly end: Reading
  readonly isReplaced: boolean
  /** The processor time of the idle process, as a share of one processor. */
  readonly processor: number
  readonly moved: Moved
  /** What was wrong with the process itself. */
  readonly problems: readonly string[]
}

function format(kinds: Readonly<Record<string, number>>): string {
  return Object.keys(kinds)
    .toSorted()
    .map((kind) => `${kind} ${kinds[kind]}`)
    .join(', ')
}

function isSame(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): boolean {
  return format(a) === format(b)
}

/** Reads what a quiet process has, once its descriptors are those of an earlier reading, or do not change any more. */
export async function read(
  pid: number,
  heap: () => Promise<number | undefined>,
  before: Reading | undefined,
): Promise<Reading> {
  const collected = await heap()
  const giveUp = performance.now() + PATIENCE
  let last = descriptors(pid)
  for (;;) {
    if (before !== undefined && (isSame(last, before.descriptors) || performance.now() > giveUp)) break
    await sleep(INTERVAL)
    const now = descriptors(pid)
    if (before === undefined && isSame(now, last)) break
    last = now
  }
  return { descriptors: last, resident: memory(pid).resident, heap: collected }
}

function mebibytes(bytes: number): string {
  return `${(bytes / MEBIBYTE).toFixed(1)} MiB`
}

/** The faults of a subject. */
export function faultsOf(found: Findings): { kind: string; text: string }[] {
  const { before, middle, end, moved, processor, problems } = found
  const faults: { kind: string; text: string }[] = []
  const fault = (kind: string, text: string): void => void faults.push({ kind, text })
  if (moved.failures.length > 0) {
    fault('byte', `${moved.failures.length} connections are wrong:\n${moved.failures.slice(0, 3).join('\n')}`)
  }
  if (moved.ended === 0) fault('traffic', 'no connection ended in order')
  for (const [when, { descriptors: now }] of [
    ['in the middle', middle],
    ['at the end', end],
  ] as const) {
    if (!isSame(before.descriptors, now)) {
      fault('descriptor', `descriptors: ${format(before.descriptors)} before, ${format(now)} ${when}`)
    }
  }
  const resident = end.resident - middle.resident
  if (!found.isReplaced && resident > MOST_RESIDENT) {
    fault('memory', `resident memory grew by ${mebibytes(resident)}, to ${mebibytes(end.resident)}`)
  }
  const heap = (end.heap ?? 0) - (middle.heap ?? 0)
  if (heap > MOST_HEAP) fault('memory', `the heap grew by ${mebibytes(heap)}, to ${mebibytes(end.heap ?? 0)}`)
  if (processor > MOST_PROCESSOR) {
    fault('spin', `it uses ${(processor * 100).toFixed(0)} % of a processor while its connections are idle`)
  }
  for (const text of problems) fault('end', text)
  return faults
}

/** One line of the report. */
export function describe(name: string, { middle, end, moved, processor }: Findings): string {
  const heap = end.heap === undefined || middle.heap === undefined ? undefined : end.heap - middle.heap
  return [
    name.padEnd(30),
    `${moved.connections} connections, ${moved.ended} ended in order, ${mebibytes(moved.bytes)}`,
    `resident ${mebibytes(end.resident)} (${mebibytes(end.resident - middle.resident)} more)`,
    ...(heap === undefined ? [] : [`heap ${mebibytes(heap)} more`]),
    `idle ${(processor * 100).toFixed(1)} %`,
  ].join('; ')
}
