// Compares proxies: the native relay with its policy in TypeScript, the threaded proxy, Node's sockets, HAProxy, and
// libevent's buffered events. `npm run bench:proxy -- --help` lists the options; docs/performance.md describes the
// method.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { endChildren, temporaryFolder } from '../scripts/lib/exit.js'
import { closingLine } from '../scripts/lib/results.js'
import { main, root } from '../scripts/lib/run.js'
import { describe, machine } from './lib/machine.js'
import { refuse } from './lib/options.js'
import { buildProxies } from './lib/programs.js'
import { bulk } from './proxy/bulk.js'
import type { Case } from './proxy/case.js'
import { type Contender, CONTENDERS } from './proxy/contenders.js'
import { idle } from './proxy/idle.js'
import { latency } from './proxy/latency.js'
import { requirePrograms, versions } from './proxy/needs.js'
import { type ProxyOptions, proxyOptions } from './proxy/options.js'
import { descriptorLimit } from './proxy/process.js'
import { describePlacement, placement } from './proxy/processors.js'
import { aimTable, figureTable } from './proxy/report.js'
import { connections, keepAlive } from './proxy/requests.js'
import { runCase } from './proxy/run.js'
import { type Result, verdicts } from './proxy/verdicts.js'

const CASES: readonly Case[] = [bulk(1), bulk(8), keepAlive, connections, idle, latency]

const HELP = `Usage: npm run bench:proxy -- [--quick] [--only NAME]... [--proxy NAME]... [--rounds N] [--seconds N]
                               [--idle N] [--markdown] [--no-build]

--quick     one round of a second, 200 idle connections: only checks that all bytes arrive
--only      loads whose name starts with this: ${CASES.map(({ name }) => name).join('; ')}
--proxy     only these proxies: ${CONTENDERS.map(({ name }) => name).join('; ')}
--rounds    number of rounds; 5 by default
--seconds   seconds of load for one sample; 2 by default
--idle      number of idle connections; 5000 by default
--markdown  print the tables as Markdown
--no-build  do not build before measuring

Prints the tables on standard output and progress on standard error, and writes bench/results/proxy.json.
The last line counts a proxy under a load as passed if all bytes arrived. The exit code is 1 if one failed or, unless
--quick is given, an aim was missed, and 2 if the command line is wrong.
`

await main(async () => {
  const options = proxyOptions()
  if (options.help) {
    process.stdout.write(HELP)
    return true
  }
  const cases = choose('load', CASES, options.only)
  const contenders = choose('proxy', CONTENDERS, options.proxies)
  requireDescriptors(options)
  await requirePrograms()
  if (options.build) await buildProxies()
  return await compare(cases, contenders, options)
})

async function compare(
  cases: readonly Case[],
  contenders: readonly Contender[],
  options: ProxyOptions,
): Promise<boolean> {
  const where = machine()
  const place = { placement: placement(), scratch: temporaryFolder('bench-proxy') }
  const results: Result[] = []
  try {
    for (const load of cases) {
      console.error(`# ${load.name}`)
      results.push({ load, outcomes: await runCase(load, contenders, place, options) })
    }
  } finally {
    endChildren()
  }

  const { rounds, seconds, markdown } = options
  const judged = results.flatMap(verdicts)
  const about = [
    describe(where, undefined),
    `${await versions()}; ${describePlacement(place.placement)}; ${rounds} rounds of ${seconds} s`,
  ]
  save({ machine: where, about, options, results, verdicts: judged })
  console.log(
    [
      about.join('\n'),
      figureTable(results, contenders, markdown),
      ...(judged.length === 0 ? [] : [aimTable(judged, markdown)]),
    ].join('\n\n'),
  )
  return conclude(results, options.quick || judged.every(({ met }) => met))
}

/** Prints failures and the closing line. Returns whether all contenders have passed. */
function conclude(results: readonly Result[], aimsMet: boolean): boolean {
  const failures = results.flatMap(({ load, outcomes }) =>
    outcomes.flatMap(({ contender, failure }) =>
      failure === undefined ? [] : [`${contender.name}, ${load.name}: ${failure}`],
    ),
  )
  const all = results.reduce((sum, { outcomes }) => sum + outcomes.length, 0)
  const listed = failures.length === 0 ? [] : ['--- failed', ...failures]
  const totals = { passed: all - failures.length, failed: failures.length, skipped: 0 }
  console.log(['', ...listed, closingLine(totals)].join('\n'))
  return failures.length === 0 && aimsMet
}

function choose<Item extends { readonly name: string }>(
  kind: string,
  all: readonly Item[],
  wanted: readonly string[],
): readonly Item[] {
  for (const start of wanted) {
    if (!all.some(({ name }) => name.startsWith(start))) {
      refuse(`There is no ${kind} ${start}; npm run bench:proxy -- --help lists them.`)
    }
  }
  return wanted.length === 0 ? all : all.filter(({ name }) => wanted.some((start) => name.startsWith(start)))
}

/** A proxy needs two descriptors for each connection. */
function requireDescriptors({ idle: count }: ProxyOptions): void {
  const most = Math.floor((descriptorLimit() - 500) / 2)
  if (count > most)
    refuse(`--idle ${count}: the limit of open files allows ${most}; raise it, or ask for fewer.`)
}

function save(results: unknown): void {
  const folder = join(root, 'bench', 'results')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'proxy.json'), `${JSON.stringify(results, undefined, 2)}\n`)
}
