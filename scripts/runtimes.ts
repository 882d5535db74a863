// Runs the specs on every supported Node, and the smoke suite on Bun and Deno.
// The runtimes are npm packages in a cache folder, outside the lock file.
import { join } from 'node:path'

import { cachedBun, cachedDeno, cachedNode } from './lib/cached-package.js'
import { closingLine, isGreen, sum, type Totals } from './lib/results.js'
import { demand, main, root, run } from './lib/run.js'
import { smokeTotals } from './lib/smoke.js'
import { nodeAt, vitest } from './lib/vitest.js'

/** A runtime: how it is installed, and how it runs the tests. */
interface Runtime {
  readonly label: string
  readonly install: () => Promise<string>
  readonly suite: (binary: string) => Promise<Totals>
}

/** Upper bound for a smoke suite, in milliseconds. */
const smokeLimit = 120_000

async function specs(binary: string): Promise<Totals> {
  // The types do not depend on the runtime.
  return (await vitest(['--project=!types'], nodeAt(binary))).totals
}

/** Runs the smoke suite. */
function smoke(...args: readonly string[]): (binary: string) => Promise<Totals> {
  return async (binary) => {
    const script = join(root, '__test__/smoke/smoke.mjs')
    return smokeTotals(await run(binary, [...args, script], { timeout: smokeLimit }))
  }
}

function node(version: string): Runtime {
  return { label: `Node ${version}`, install: () => cachedNode(version), suite: specs }
}

const runtimes: readonly Runtime[] = [
  node('20'),
  node('22'),
  node('24'),
  node('latest'),
  { label: 'Bun', install: cachedBun, suite: smoke('run') },
  {
    label: 'Deno',
    install: cachedDeno,
    suite: smoke('run', '--allow-all', '--no-lock', '--node-modules-dir=manual'),
  },
]

await main(async () => {
  const wanted = process.argv.slice(2).map((name) => name.toLowerCase())
  const chosen = runtimes.filter(
    ({ label }) => wanted.length === 0 || wanted.some((name) => label.toLowerCase().includes(name)),
  )
  if (chosen.length === 0) throw new Error(`no runtime has the name ${wanted.join(' or ')}`)
  const rows: { readonly line: string; readonly totals: Totals }[] = []
  for (const runtime of chosen) {
    const isThis = runtime.label === `Node ${process.versions.node.split('.')[0]}`
    const binary = isThis ? process.execPath : await runtime.install()
    const version = (await demand(binary, ['--version'])).trim().split('\n')[0]
    console.log(`--- ${runtime.label} (${version})`)
    const totals = await runtime.suite(binary)
    rows.push({ line: `${runtime.label.padEnd(12)} ${version?.padEnd(28)} ${closingLine(totals)}`, totals })
  }
  console.log(`\n${rows.map(({ line }) => line).join('\n')}`)
  const all = rows.map(({ totals }) => totals)
  console.log(closingLine(sum(all)))
  return all.every(isGreen)
})
