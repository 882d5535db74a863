// Puts small faults into the code, one at a time, and counts those that the tests notice:
// `npm run mutants -- [--rust | --ts] [--changed [REF]] [--sample N] [--seed S] [--subject NAME]... [--only TEXT]...`.
// `--changed` selects the lines that differ from where the branch left REF, `main` by default; `--only` the mutants
// whose report contains TEXT, for example `src/log.rs:40`.
import { parseArgs } from 'node:util'

import { conclude } from './lib/failures.js'
import { judge, place, summary, type Selection, type Tally } from './lib/mutants.js'
import { mutantsOfRust } from './lib/mutants-rust.js'
import { mutantsOfTs } from './lib/mutants-ts.js'
import { integer } from './lib/options.js'
import { main } from './lib/run.js'

await main(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rust: { type: 'boolean', default: false },
      ts: { type: 'boolean', default: false },
      changed: { type: 'boolean', default: false },
      sample: { type: 'string' },
      seed: { type: 'string', default: '1' },
      subject: { type: 'string', multiple: true, default: [] },
      only: { type: 'string', multiple: true, default: [] },
    },
  })
  const [ref, ...others] = positionals
  if (others.length > 0 || (ref !== undefined && !values.changed))
    throw new Error(`unknown argument ${others[0] ?? ref}`)
  const selection: Selection = {
    ...(values.changed ? { since: ref ?? 'main' } : {}),
    ...(values.sample === undefined ? {} : { sample: integer('sample', values.sample, 1) }),
    seed: integer('seed', values.seed, 0),
    subjects: values.subject,
    only: values.only,
  }
  const tallies: Tally[] = []
  if (!values.ts) tallies.push(...(await mutantsOfRust(selection)))
  if (!values.rust) tallies.push(...(await mutantsOfTs(selection)))
  if (tallies.length === 0) throw new Error(`no subject has the name ${values.subject.join(' or ')}`)
  console.log()
  for (const tally of tallies) {
    console.log(summary(tally))
    for (const mutant of tally.missed) console.log(`  missed ${place(mutant)}`)
  }
  // A change that has no mutant fails nothing.
  const reports = tallies.map(judge)
  const succeeds = conclude(reports)
  return succeeds || (values.changed && reports.every(({ totals }) => totals.passed + totals.failed === 0))
})
