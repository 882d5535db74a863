/**
 * User events: activated by the program and dispatched by the next pass, with one TypeScript callback for each. The
 * native figures have the same names.
 */
import { EV, LoopFlag } from '../index.js'
import { benchBase } from './lib/base.js'
import type { Figure } from './lib/figure.js'
import type { SubjectOptions } from './lib/options.js'
import { type Sample, takeTurns } from './lib/rounds.js'
import { expectCount, figures, main } from './lib/subject.js'

/** Events dispatched in a sample. */
const OPERATIONS = 200_000
const POLL = LoopFlag.ONCE | LoopFlag.NONBLOCK

await main(async (options) => [...(await measure(1000, options)), ...(await measure(1, options))])

async function measure(count: number, options: SubjectOptions): Promise<Figure[]> {
  using base = benchBase(options)
  let handedOut = 0
  const events = Array.from({ length: count }, () =>
    base.newEvent(-1, 0, () => {
      handedOut++
    }),
  )

  const sample = (): Sample => {
    const passes = OPERATIONS / count
    let activate = 0
    let dispatch = 0
    handedOut = 0
    for (let pass = 0; pass < passes; pass++) {
      const start = performance.now()
      for (const event of events) event.activate(EV.READ)
      const activated = performance.now()
      base.loop(POLL)
      activate += activated - start
      dispatch += performance.now() - activated
    }
    expectCount('events handed out', handedOut, OPERATIONS)
    const perEvent = (milliseconds: number): number => (milliseconds * 1e6) / OPERATIONS
    const both = { [`activation-${count}`]: perEvent(activate + dispatch) }
    if (count === 1) return both
    return {
      ...both,
      [`activation-${count}/activate`]: perEvent(activate),
      [`activation-${count}/dispatch`]: perEvent(dispatch),
    }
  }

  return figures(await takeTurns([sample], options), {
    subject: 'user-events',
    unit: 'ns per event',
    aim: (figure) => (figure.endsWith('/dispatch') ? { kind: 'engine-plus', more: 60 } : undefined),
  })
}
