// Measures the proxies in alternation under one kind of load.
import type { Sample } from '../lib/rounds.js'
import type { Case } from './case.js'
import type { Contender } from './contenders.js'
import type { ProxyOptions } from './options.js'
import type { Server } from './process.js'
import type { Workplace } from './workplace.js'

/** The outcome of one proxy under one kind of load. */
export interface Outcome {
  readonly contender: Contender
  /** A sample for each round; none if it failed. */
  readonly samples: readonly Sample[]
  /** The reason of the failure. */
  readonly failure?: string
}

/** Seconds of load before the first round, for compilation and pools. */
const WARM_UP = 2

/**
 * Measures every contender under one kind of load, round by round. The order is reversed in every round. A contender that
 * fails once is not measured any more and has no figures.
 */
export async function runCase(
  load: Case,
  contenders: readonly Contender[],
  place: Workplace,
  options: ProxyOptions,
): Promise<readonly Outcome[]> {
  const upstream = await load.upstream(place)
  const sides = contenders.map((contender) => new Side(contender, load, upstream, place, options))
  try {
    for (const side of sides) await side.prepare()
    for (let round = 0; round < options.rounds; round++) {
      for (const side of round % 2 === 0 ? sides : sides.toReversed()) await side.measure()
    }
  } finally {
    for (const side of sides) await side.stop()
    await upstream.stop()
  }
  return sides.map((side) => side.outcome)
}

class Side {
  readonly #contender: Contender
  readonly #load: Case
  readonly #upstream: Server
  readonly #place: Workplace
  readonly #options: ProxyOptions
  readonly #samples: Sample[] = []
  #proxy: Server | undefined
  #failure: string | undefined

  constructor(contender: Contender, load: Case, upstream: Server, place: Workplace, options: ProxyOptions) {
    this.#contender = contender
    this.#load = load
    this.#upstream = upstream
    this.#place = place
    this.#options = options
  }

  get outcome(): Outcome {
    const failed = this.#failure === undefined ? {} : { failure: this.#failure }
    return {
      contender: this.#contender,
      samples: this.#failure === undefined ? this.#samples : [],
      ...failed,
    }
  }

  async prepare(): Promise<void> {
    await this.#unlessFailed(async () => {
      await this.#load.check?.((upstream) => this.#contender.start(upstream, this.#place), this.#place)
      if (this.#load.fresh === true || this.#options.quick) return
      await this.#take(await this.#start(), WARM_UP)
    })
  }

  async measure(): Promise<void> {
    await this.#unlessFailed(async () => {
      const proxy = await this.#start()
      this.#samples.push(await this.#take(proxy, this.#options.seconds))
      if (this.#load.fresh === true) await this.stop()
    })
  }

  async stop(): Promise<void> {
    await this.#proxy?.stop()
    this.#proxy = undefined
  }

  async #start(): Promise<Server> {
    this.#proxy ??= await this.#contender.start(this.#upstream.port, this.#place)
    return this.#proxy
  }

  #take(proxy: Server, seconds: number): Promise<Sample> {
    const { idle } = this.#options
    return this.#load.sample({ proxy, upstream: this.#upstream, place: this.#place, seconds, idle })
  }

  async #unlessFailed(step: () => Promise<void>): Promise<void> {
    if (this.#failure !== undefined) return
    try {
      await step()
    } catch (error) {
      this.#failure = error instanceof Error ? error.message : String(error)
      console.error(`${this.#contender.name}, ${this.#load.name}: ${this.#failure}`)
      await this.stop()
    }
  }
}
