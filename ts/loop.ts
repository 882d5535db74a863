/** Running a base on this thread, which blocks JavaScript. */

import { isMainThread } from 'node:worker_threads'

import { LoopFlag, type LoopResult } from './constants.js'
import type { Core } from './core.js'
import { Event } from './event.js'
import { fetchMessages } from './log.js'
import { crossing, isWatcherStep, native, NO_SLOT, StepCode } from './native.js'
import { checkBits } from './validate.js'
import { begins } from './unsettled.js'
import { deliverWatcher } from './watcher.js'

const LOOP_BITS = LoopFlag.ONCE | LoopFlag.NONBLOCK | LoopFlag.NO_EXIT_ON_EMPTY

/** Runs the loop until it ends. */
export function loop(core: Core, flags: number): LoopResult {
  const { handle } = core
  crossing.loopEnter(handle, checkBits('flags', flags, LOOP_BITS))
  core.loop = 'loop()'
  begins(core)
  try {
    if (!isMainThread && !core.watchesHost) watchHost(core)
    for (;;) {
      const code = crossing.loopNext(handle)
      if ((code & NO_SLOT) !== NO_SLOT) {
        Event.deliver(core, code, false)
        continue
      }
      const step = code >>> 24
      if (step === StepCode.STOPPED || step === StepCode.EMPTY) return step
      if (step === StepCode.HOST) {
        enterFunction()
        fetchMessages()
      } else if (isWatcherStep(step)) deliverWatcher(core, step, false)
      else core.onStep(step)
    }
  } finally {
    core.running = undefined
    core.loop = undefined
    crossing.loopLeave(handle)
  }
}

/**
 * Makes the loop return to JavaScript when the host's own loop has work, for example when the worker is terminated.
 */
function watchHost(core: Core): void {
  core.watchesHost = true
  // Bun exports the symbol of libuv, and panics when it is called.
  if (process.versions['bun'] === undefined) native.watchHost(core.handle)
}

/**
 * Ends this worker if it is being terminated. V8 checks for termination when a function is entered and at back edges.
 * Optimised code may not reach such a point for a long time, but the call of a callback by a builtin always does.
 */
function enterFunction(): void {
  JSON.parse('0', (_key, value: unknown) => value)
}
