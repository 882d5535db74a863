// Operations on one object of a world.
import type { EventBase } from '../../index.js'
import type { Operation, World } from './world.js'

/** Makes operations on an object that `choose` selects. They do nothing if there is none. */
export function operationsOn<T>(
  choose: (world: World) => T | undefined,
): (name: string, weight: number, run: (world: World, chosen: T) => void) => Operation {
  return (name, weight, run) => ({
    name,
    weight,
    run(world) {
      const chosen = choose(world)
      if (chosen !== undefined) run(world, chosen)
    },
  })
}

/** An operation on a base. */
export const withBase: ReturnType<typeof operationsOn<EventBase>> = operationsOn((world) => world.base())
