import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { expect, test } from 'vitest'

const fixture = fileURLToPath(new URL('../fixtures/shortage.ts', import.meta.url))

test('without descriptors, a listener waits without spinning, reports it once, and accepts when it can', async () => {
  // Its own process: the limit is the process's.
  const script = 'ulimit -n 96 && exec "$0" --import tsx "$1"'
  const { stdout } = await promisify(execFile)('sh', ['-c', script, process.execPath, fixture])
  const { told, busyMs, tookMs, acceptedMeanwhile, acceptedAfterwards } = JSON.parse(stdout) as {
    told: [string, string, number][]
    busyMs: number
    tookMs: number
    acceptedMeanwhile: number
    acceptedAfterwards: number
  }
  expect(told).toEqual([['EMFILE', 'accept', 10]])
  expect(acceptedMeanwhile).toBe(0)
  expect(acceptedAfterwards).toBe(3)
  expect(busyMs).toBeLessThan(tookMs * 0.4)
})
