/** The base inside the host's own event loop. */

import { addAbortListener } from 'node:events'

import { LoopResult } from './constants.js'
import type { Core } from './core.js'
import { closedError, EventError, systemError } from './errors.js'
import { Event } from './event.js'
import { isWatcherStep, native, NO_SLOT, StepCode } from './native.js'
import { deliverWatcher } from './watcher.js'

/**
 * Whether the host's libuv can be relied on. Bun and Deno have its names, not its behaviour. A backend without a
 * descriptor of its own has a thread wait for it in any case.
 */
const hasUv: boolean =
  process.versions['bun'] === undefined &&
  process.versions['deno'] === undefined &&
  process.env['EVENT_BASE_DRIVER'] !== 'thread'

/** What a run needs besides the base. */
export interface RunSettings {
  /** Bits of `LoopFlag`. */
  flags: number
  /** Whether the run keeps the process alive. */
  keepAlive: boolean
  /** Ends the run. */
  signal: AbortSignal | undefined
  /** Called for a code that concerns no event of JavaScript's. */
  onStep: (step: number) => void
}

/** Runs the loop until it has a reason to end. */
export function run(core: Core, settings: RunSettings): Promise<LoopResult> {
  const { flags, keepAlive, signal, onStep } = settings
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    let listening: Disposable | undefined
    const end = (): void => {
      core.waiting.delete(onClose)
      listening?.[Symbol.dispose]()
    }
    // A base that is closed leaves its loop as after a break.
    const onClose = (): void => {
      end()
      resolve(LoopResult.STOPPED)
    }
    const listener = (code: number, errno: number): void => {
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
        // 0: the base was closed during the run.
        reject(errno === 0 ? closedError('base') : waitFailed(native.baseMethod(core.handle), errno))
      } else if (isWatcherStep(step)) {
        deliverWatcher(core, step, true)
      } else {
        onStep(step)
      }
    }
    native.runStart(core.handle, flags, hasUv, keepAlive, listener)
    core.waiting.add(onClose)
    if (signal !== undefined) {
      listening = addAbortListener(signal, () => {
        end()
        if (!core.closed) native.runStop(core.handle)
        reject(signal.reason as Error)
      })
    }
  })
}

/** The system call that waits. */
const WAITS: Partial<Record<string, string>> = { kqueue: 'kevent', poll: 'poll', select: 'select' }

function waitFailed(method: string, errno: number): Error {
  if (errno < 0) return new EventError('ERR_EVENT_INTERNAL', 'The structures of the base are inconsistent')
  return systemError(-errno, WAITS[method] ?? 'epoll_wait')
}
