// Combines the figures of native and TypeScript programs in rows.
import type { Aim, Figure, NativeRow, Reference } from './figure.js'
import { spread } from './statistics.js'

/** One row of the table. */
export interface Row {
  readonly name: string
  readonly unit: string
  /** The reference of the ratios. */
  readonly against: Reference | undefined
  readonly reference: number | undefined
  readonly engine: number | undefined
  readonly engineRatio: number | undefined
  readonly typescript: number | undefined
  readonly typescriptRatio: number | undefined
  /** The highest ratio of the engine to libevent that reaches the aim. */
  readonly engineAim: number | undefined
  readonly typescriptAim: Aim | undefined
  /** Allocations of the engine in the timed parts. */
  readonly allocations: number | undefined
  /** The commands that measured the figures. */
  readonly commands: readonly string[]
}

/** The figures of one name, round by round. */
export class Gathered {
  readonly #name: string
  readonly #native: NativeRow[] = []
  readonly #typescript: Figure[] = []
  readonly #commands = new Set<string>()

  constructor(name: string) {
    this.#name = name
  }

  addNative(row: NativeRow, command: string): void {
    this.#native.push(row)
    this.#commands.add(command)
  }

  addTypeScript(figure: Figure, command: string): void {
    this.#typescript.push(figure)
    this.#commands.add(command)
  }

  /** The row. Each figure is the median of the medians of the rounds. */
  row(): Row {
    const [native] = this.#native
    const [figure] = this.#typescript
    const libevent = this.#native.map((row) => row.libevent?.median)
    const own = this.#typescript.map(({ reference }) => reference?.spread.median)
    const against = figure?.reference?.name ?? (native === undefined ? undefined : 'libevent')
    return {
      name: this.#name,
      unit: native?.unit ?? figure?.unit ?? '',
      against,
      reference: median(figure?.reference === undefined ? libevent : own),
      engine: median(this.#native.map((row) => row.engine?.median)),
      engineRatio: median(this.#native.map((row) => row.ratio?.median)),
      typescript: median(this.#typescript.map(({ typescript }) => typescript.median)),
      typescriptRatio: median(
        this.#typescript.map(
          ({ ratio, typescript }, round) => ratio?.median ?? divide(typescript.median, libevent[round]),
        ),
      ),
      engineAim: native?.aim ?? undefined,
      typescriptAim: figure?.aim,
      allocations: most(this.#native.map((row) => row.allocations)),
      commands: [...this.#commands],
    }
  }
}

function divide(value: number, by: number | undefined): number | undefined {
  return by === undefined ? undefined : value / by
}

function median(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : spread(known).median
}

function most(values: readonly (number | null)[]): number | undefined {
  const known = values.filter((value) => value !== null)
  return known.length === 0 ? undefined : Math.max(...known)
}
