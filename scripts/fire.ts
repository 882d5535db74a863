// Connections that go wrong in every way, through the network crate and through the proxies of the package:
// `npm run fire -- [--seed S] [--connections N] [--rust | --ts]`. What is said of a failure repeats it.
import { parseArgs } from 'node:util'

import { cargoTest } from './lib/cargo-test.js'
import { failureLines } from './lib/failures.js'
import { closingLine, isGreen, sum, type Report } from './lib/results.js'
import { main } from './lib/run.js'
import { vitest } from './lib/vitest.js'

/** A whole number that a plan can be made of. */
function whole(name: string, text: string, least: number): string {
  const number = Number(text)
  if (!/^\d+$/.test(text) || number < least || number > 0xffff_ffff)
    throw new Error(`--${name} is to be a whole number from ${least} to ${0xffff_ffff}, not ${text}`)
  return text
}

await main(async () => {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      connections: { type: 'string', default: '10000' },
      rust: { type: 'boolean', default: false },
      ts: { type: 'boolean', default: false },
    },
  })
  process.env['EVENT_BASE_FIRE_SEED'] = whole('seed', values.seed, 0)
  process.env['EVENT_BASE_FIRE_CONNECTIONS'] = whole('connections', values.connections, 1)
  const reports: Report[] = []
  if (!values.ts) {
    reports.push(await cargoTest(['--package', 'event-base-net', '--test', 'fire', '--', '--nocapture']))
  }
  if (!values.rust) {
    reports.push(await vitest(['--project=host', '--testTimeout=3600000', '__test__/proxy/fire.spec.ts']))
  }
  const total = sum(reports.map(({ totals }) => totals))
  const lines = failureLines(reports.flatMap(({ results }) => results))
  console.log(['', ...lines, closingLine(total)].join('\n'))
  return isGreen(total)
})
