/**
 * A warning about promises that cannot settle: the process is about to end, and no loop has ever run their base. Node then
 * exits with code 13 if a top-level `await` waits for one, and otherwise with 0, in both cases without naming the base.
 */

import type { Core } from './core.js'

/** The bases that have not run yet, and have, or had, a promise that waits. */
const idle: Map<Core['handle'], WeakRef<Core>> = new Map()

let isListening = false

/** Called when a promise of a base begins to wait. {@link settled} must be called when it settles. */
export function waits(core: Core): void {
  core.promises += 1
  if (core.hasRun || idle.get(core.handle)?.deref() === core) return
  idle.set(core.handle, new WeakRef(core))
  if (isListening) return
  isListening = true
  process.on('beforeExit', warn)
}

/** Reverts {@link waits}. */
export function settled(core: Core): void {
  core.promises -= 1
}

/** Called when a loop begins to run a base. */
export function begins(core: Core): void {
  if (core.hasRun) return
  core.hasRun = true
  idle.delete(core.handle)
}

/** Called when a base is closed, which rejects its promises. */
export function ends(core: Core): void {
  idle.delete(core.handle)
}

/** `beforeExit` is emitted when nothing is left that could still run a loop. */
function warn(): void {
  for (const [handle, reference] of idle) {
    const count = reference.deref()?.promises ?? 0
    if (count === 0) continue
    idle.delete(handle)
    const promises = count === 1 ? 'A promise of an event base' : `${count} promises of an event base`
    process.emitWarning(
      `${promises} cannot settle, because no loop has run the base: call base.run() before the await`,
      'EventBaseWarning',
    )
  }
}
