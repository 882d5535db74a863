// What a worker shares with its parent, so that the parent can clean up after it at any time.
import type { WorkerOptions } from 'node:worker_threads'

import { socket } from '../../net.js'

/** The numbers of descriptors that are recorded. */
const MOST = 4096
/** The index of the number of hand-overs in progress. */
const HANDING_OVER = MOST
/** The index of a number that is not 0 once the worker performs operations. */
const STARTED = MOST + 1

export interface WorkerData {
  readonly seed: number
  readonly budget: number
  readonly folder: string
  readonly memory: SharedArrayBuffer
  /** The descriptor of the log, which the whole process can use. */
  readonly log: number
}

/** The shared state, on either side. */
export class WorkerState {
  readonly memory: SharedArrayBuffer
  readonly #numbers: Int32Array

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer((MOST + 2) * 4)) {
    this.memory = memory
    this.#numbers = new Int32Array(memory)
  }

  own(fd: number, owns: boolean): void {
    Atomics.store(this.#numbers, fd, owns ? 1 : 0)
  }

  handOver(depth: number): void {
    Atomics.store(this.#numbers, HANDING_OVER, depth)
  }

  start(): void {
    Atomics.store(this.#numbers, STARTED, 1)
  }

  /** Waits until the worker performs operations. */
  async started(): Promise<void> {
    while (Atomics.load(this.#numbers, STARTED) === 0)
      await new Promise((resolve) => void setTimeout(resolve, 1))
  }

  /** Whether the worker has ended while descriptors changed their owner. */
  get isUncertain(): boolean {
    return Atomics.load(this.#numbers, HANDING_OVER) !== 0
  }

  /** The descriptors that the program of the worker owns. */
  get owned(): number[] {
    const found: number[] = []
    for (let fd = 0; fd < MOST; fd += 1) if (Atomics.load(this.#numbers, fd) === 1) found.push(fd)
    return found
  }
}

/** The options of a worker, and the state that it shares. */
export function workerOptions(data: Omit<WorkerData, 'memory'>): {
  options: WorkerOptions
  state: WorkerState
} {
  const state = new WorkerState()
  const workerData: WorkerData = { ...data, memory: state.memory }
  return { options: { eval: true, trackUnmanagedFds: false, workerData }, state }
}

/**
 * Closes the descriptors of the program of a worker that has ended.
 *
 * @returns the descriptors that were closed already, or `undefined` if it is not certain which the program owned
 */
export function closeAfterEnd(state: WorkerState): number[] | undefined {
  if (state.isUncertain) return undefined
  return state.owned.filter((fd) => {
    try {
      socket.close(fd)
      return false
    } catch {
      return true
    }
  })
}
