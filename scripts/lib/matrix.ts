// Backends, modes, and the needs of conformance rows.
/** One way to build a base, which the tests of the engine read from `EVENT_BASE_TEST_MODE`. */
export interface Mode {
  readonly name: string
  /** Its meaning, for the legend. */
  readonly what: string
  /** Whether it applies to a backend. */
  readonly suits: (backend: string) => boolean
}

const everywhere = (): boolean => true

/** The modes, in the order of the columns. */
export const modes: readonly Mode[] = [
  { name: 'plain', what: 'without locks', suits: everywhere },
  { name: 'shared', what: 'with locks', suits: everywhere },
  { name: 'debug', what: 'with locks, in debug mode', suits: everywhere },
  { name: 'changelist', what: 'EPOLL_USE_CHANGELIST', suits: (backend) => backend === 'epoll' },
  { name: 'precise', what: 'PRECISE_TIMER', suits: everywhere },
  { name: 'signalfd', what: 'USE_SIGNALFD', suits: (backend) => backend !== 'kqueue' },
]

/** A backend of this build. */
export interface Backend {
  readonly name: string
  /** Names of its features: `ET`, `O1`, `FDS`, `EARLY_CLOSE`. */
  readonly features: readonly string[]
}

/** One backend in one mode. */
export interface Combination {
  readonly backend: Backend
  readonly mode: Mode
}

/** Every combination of a backend and a mode that applies to it. */
export function combinations(backends: readonly Backend[]): Combination[] {
  return backends.flatMap((backend) =>
    modes.filter(({ suits }) => suits(backend.name)).map((mode) => ({ backend, mode })),
  )
}

/** The needs that a row can have. `handler`: the base receives signals with a handler. */
export const needs = [
  'ET',
  'EARLY_CLOSE',
  'FDS',
  'O1',
  'threads',
  'handler',
  'epoll',
  'poll',
  'select',
  'kqueue',
] as const
export type Need = (typeof needs)[number]

const features: ReadonlySet<string> = new Set<Need>(['ET', 'EARLY_CLOSE', 'FDS', 'O1'])

/** Why a row with these needs is not applicable in a combination; `undefined` if it is. */
export function whyNot(wanted: readonly Need[], { backend, mode }: Combination): string | undefined {
  for (const need of wanted) {
    if (features.has(need)) {
      if (!backend.features.includes(need)) return `${backend.name} has no ${need}`
    } else if (need === 'threads') {
      if (mode.name === 'plain') return 'a base without locks belongs to one thread'
    } else if (need === 'handler') {
      if (mode.name === 'signalfd')
        return 'a signalfd reports a signal to one base only; libevent skips the test there too'
    } else if (backend.name !== need) return `is about ${need}`
  }
  return undefined
}
