// Connections that fail in many ways, through the network crate and through the proxies of the package:
// `npm run fire -- [--seed S] [--connections N] [--rust | --ts]`. A failure is reported with the command that repeats it.
import { parseArgs } from 'node:util'

import { cargoTest } from './lib/cargo-test.js'
import { conclude } from './lib/failures.js'
import { integer } from './lib/options.js'
import type { Report } from './lib/results.js'
import { main } from './lib/run.js'
import { vitest } from './lib/vitest.js'

await main(async () => {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      connections: { type: 'string', default: '10000' },
      rust: { type: 'boolean', default: false },
      ts: { type: 'boolean', default: false },
    },
  })
  process.env['EVENT_BASE_FIRE_SEED'] = String(integer('seed', values.seed, 0))
  process.env['EVENT_BASE_FIRE_CONNECTIONS'] = String(integer('connections', values.connections, 1))
  const reports: Report[] = []
  if (!values.ts) {
    reports.push(await cargoTest(['--package', 'event-base-net', '--test', 'fire', '--', '--nocapture']))
  }
  if (!values.rust) {
    reports.push(await vitest(['--project=host', '--testTimeout=3600000', '__test__/proxy/fire.spec.ts']))
  }
  return conclude(reports)
})
