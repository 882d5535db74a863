/** Running a base inside the host's event loop. */

import { type AbortSource, onAbort, throwIfAborted } from './abort.js'
import { LoopResult } from './constants.js'
import type { Core } from './core.js'
import { closedError, EventError, systemError } from './errors.js'
import { Event } from './event.js'
import { isWatcherStep, native, NO_SLOT, StepCode } from './native.js'
import { begins } from './unsettled.js'
import { deliverWatcher } from './watcher.js'

/**
 * Whether the driver on libuv is used. Bun and Deno export libuv's symbols without its behaviour. For a backend without
 * a descriptor, a thread waits in any case.
 */
const hasUv: boolean =
  process.versions['bun'] === undefined &&
  process.versions['deno'] === undefined &&
  process.env['EVENT_BASE_DRIVER'] !== 'thread'

/** The settings of a run that are not settings of the base. */
export interface RunSettings {
  /** Bits of `LoopFlag`. */
  flags: number
  /** Whether the run keeps the process alive. */
  keepAlive: boolean
  /** An abort signal that ends the run. */
  signal: AbortSource | undefined
}

/** Runs the loop until it ends. */
export function run(core: Core, settings: RunSettings): Promise<LoopResult> {
  const { flags, keepAlive, signal } = settings
  return new Promise((resolve, reject) => {
    throwIfAborted(signal)
    const end = (): void => {
      core.loop = undefined
      core.waiting.delete(onClose)
      stopListening()
    }
    // The close of the base ends its loop in the same way as a break.
    const onClose = (): void => {
      end()
      resolve(LoopResult.STOPPED)
    }
    const receive = (code: number, errno: number): void => {
      if ((code & NO_SLOT) !== NO_SLOT) {
        try {
          Event.deliver(core, code, true)
        } finally {
          core.running = undefined
        }
        return
      }
      const step = code >>> 24
      if (step === StepCode.STOPPED || step === StepCode.EMPTY) {
        end()
        resolve(step)
      } else if (step === StepCode.FAILED) {
        end()
        reject(runFailed(core, errno))
      } else if (isWatcherStep(step)) {
        deliverWatcher(core, step, true)
      } else {
        core.onStep(step)
      }
    }
    const stopListening = onAbort(signal, (reason) => {
      end()
      if (!core.closed) native.runStop(core.handle)
      reject(reason)
    })
    try {
      native.runStart(core.handle, flags, hasUv, keepAlive, receive)
    } catch (error) {
      stopListening()
      throw error
    }
    core.loop = 'run()'
    begins(core)
    core.waiting.add(onClose)
  })
}

/** The system call in which a backend waits. */
const WAITS: Partial<Record<string, string>> = { kqueue: 'kevent', poll: 'poll', select: 'select' }

/**
 * The error of a run. An `errno` of 0 means that the base was closed; a negative one means that debug mode has found a
 * fault.
 */
function runFailed(core: Core, errno: number): Error {
  if (errno === 0) return closedError('base')
  if (errno < 0) return new EventError('ERR_EVENT_INTERNAL', 'The structures of the base are inconsistent')
  return systemError(-errno, WAITS[native.baseMethod(core.handle)] ?? 'epoll_wait')
}
