// Takes samples in rounds.
import type { SubjectOptions } from './options.js'
import { spread } from './statistics.js'

/** One sample: a value for every figure. */
export type Sample = Readonly<Record<string, number>>

/** Values by figure, in the order of the rounds. */
export type Values = ReadonlyMap<string, readonly number[]>

/** Takes one sample. Throws if the work was not done completely. */
export type Sampler = () => Sample | Promise<Sample>

/** A ratio is stable when the middle half of its rounds is this close to its median. */
const STILL = 0.03
/** Rounds and seconds after which a figure that is not stable is final. */
const MOST = { rounds: 41, seconds: 60 }

/**
 * Takes samples of the sides in alternation until their figures are stable.
 *
 * A round is one sample of each side, directly after one another; the order is reversed in every round. The first round
 * fills caches and compiles, and is not counted.
 *
 * @param sides one or two sides
 * @param least the least number of rounds
 * @returns the values of each side
 */
export async function takeTurns(
  sides: readonly Sampler[],
  options: SubjectOptions,
  least = 9,
): Promise<readonly Values[]> {
  const rounds = options.rounds ?? (options.quick ? 3 : least)
  const values = sides.map(() => new Map<string, number[]>())
  const end = performance.now() + MOST.seconds * 1000
  for (let round = 0; ; round++) {
    const order = sides.map((side, index) => ({ side, kept: values[index] }))
    if (round % 2 === 1) order.reverse()
    for (const { side, kept } of order) {
      globalThis.gc?.()
      const sample = await side()
      if (round > 0 && kept !== undefined) keep(kept, sample)
    }
    const late = round >= MOST.rounds || performance.now() > end
    if (round >= rounds && (late || options.rounds !== undefined || isStill(values))) return values
  }
}

/** The ratio of two sides in each round. */
export function ratios(values: readonly number[], reference: readonly number[]): number[] {
  return values.map((value, round) => value / (reference[round] ?? Number.NaN))
}

function keep(values: Map<string, number[]>, sample: Sample): void {
  for (const [figure, value] of Object.entries(sample)) {
    const kept = values.get(figure)
    if (kept === undefined) values.set(figure, [value])
    else kept.push(value)
  }
}

function isStill([first, second]: readonly Values[]): boolean {
  return [...(first ?? [])].every(([figure, values]) => {
    const reference = second?.get(figure)
    const { median, lowerQuartile, upperQuartile } = spread(
      reference === undefined ? values : ratios(values, reference),
    )
    return (upperQuartile - lowerQuartile) / median < STILL
  })
}
