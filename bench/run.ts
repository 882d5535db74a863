// Runs all benchmarks of the engine and of the TypeScript layer, and compares them with libevent and Node.
// `npm run bench -- --help` lists the options; docs/performance.md describes the table. Proxies have a benchmark of
// their own: proxy.ts.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { main, root } from '../scripts/lib/run.js'
import type { Figure, NativeRow } from './lib/figure.js'
import { describe, machine } from './lib/machine.js'
import { refuse, runOptions, type RunOptions } from './lib/options.js'
import { buildNative, buildTypeScript, requireLibevent, runNative, runSubject } from './lib/programs.js'
import { Gathered } from './lib/row.js'
import { table } from './lib/table.js'
import { verdicts } from './lib/verdict.js'

interface Subject {
  readonly name: string
  /** The prefix of the names of its figures in the native program. */
  readonly native?: string
  /** The file in this folder. */
  readonly typescript?: string
  /** Whether it runs with locks, without locks, or both, which is the default. */
  readonly locks?: readonly boolean[]
}

const WITHOUT = [false]
const SUBJECTS: readonly Subject[] = [
  { name: 'throughput', native: 'throughput', typescript: 'throughput' },
  { name: 'user-events', native: 'activation', typescript: 'user-events' },
  { name: 'timers', native: 'timers', typescript: 'timers', locks: WITHOUT },
  { name: 'rearm', native: 'rearm', locks: WITHOUT },
  { name: 'common-timeouts', native: 'common-timeouts', locks: WITHOUT },
  { name: 'signals', native: 'signals', locks: WITHOUT },
  { name: 'priorities', native: 'priorities', locks: WITHOUT },
  { name: 'idle', native: 'idle', locks: WITHOUT },
  { name: 'registration', native: 'registration' },
  { name: 'wake-up', native: 'wake-up', locks: [true] },
  { name: 'memory', native: 'memory', locks: WITHOUT },
  { name: 'run-against-loop', typescript: 'run-against-loop', locks: WITHOUT },
]

const HELP = `Usage: npm run bench -- [--quick] [--only NAME]... [--rounds N] [--markdown] [--no-build]

--quick     fewer rounds and smaller counts
--only      run only these subjects: ${SUBJECTS.map(({ name }) => name).join(', ')}
--rounds    how often the native and the TypeScript programs alternate; 3 by default, 1 with --quick
--markdown  print the table as Markdown
--no-build  do not build before measuring

Prints the table on standard output and progress on standard error, and writes bench/results/latest.json.
The exit code is 1 if an aim was missed, unless --quick is given, and 2 if a requirement is missing.
`

await main(async () => {
  const options = runOptions()
  if (options.help) {
    process.stdout.write(HELP)
    return true
  }
  const chosen = choose(options)
  const where = machine()
  if (chosen.some(({ native }) => native !== undefined)) {
    await requireLibevent()
    if (options.build) await buildNative()
  }
  if (options.build && chosen.some(({ typescript }) => typescript !== undefined)) await buildTypeScript()
  const { gathered, libevent } = await measure(chosen, options)

  const rows = [...gathered.values()].map((figures) => figures.row())
  const about = describe(where, libevent)
  console.log(
    `${about}${options.quick ? ' (quick: a look, not a figure)' : ''}\n\n${table(rows, options.markdown)}`,
  )
  save({ machine: where, libevent, quick: options.quick, rows })
  return options.quick || rows.flatMap(verdicts).every(({ met }) => met)
})

function choose({ only }: RunOptions): readonly Subject[] {
  const unknown = only.find((name) => !SUBJECTS.some((subject) => subject.name === name))
  if (unknown !== undefined) refuse(`unknown subject ${unknown}; npm run bench -- --help lists the subjects`)
  return only.length === 0 ? SUBJECTS : SUBJECTS.filter(({ name }) => only.includes(name))
}

interface Measured {
  readonly gathered: ReadonlyMap<string, Gathered>
  readonly libevent: string | undefined
}

async function measure(chosen: readonly Subject[], { quick, rounds }: RunOptions): Promise<Measured> {
  const gathered = new Map<string, Gathered>()
  const under = ({ figure }: NativeRow | Figure, locks: boolean): Gathered => {
    const name = locks ? `${figure}, locks` : figure
    const there = gathered.get(name) ?? new Gathered(name)
    gathered.set(name, there)
    return there
  }
  let libevent: string | undefined
  for (let round = 0; round < rounds; round++) {
    for (const { native, typescript, locks: kinds = [false, true] } of chosen) {
      for (const locks of kinds) {
        const flags = [...(quick ? ['--quick'] : []), ...(locks ? ['--locks'] : [])]
        if (native !== undefined) {
          const { command, report } = await runNative(native, flags)
          libevent = report.libevent
          for (const row of report.rows) under(row, locks).addNative(row, command)
        }
        if (typescript !== undefined) {
          const { command, report } = await runSubject(typescript, flags)
          for (const figure of report.figures) under(figure, locks).addTypeScript(figure, command)
        }
      }
    }
  }
  return { gathered, libevent }
}

function save(results: unknown): void {
  const folder = join(root, 'bench', 'results')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'latest.json'), `${JSON.stringify(results, undefined, 2)}\n`)
}
