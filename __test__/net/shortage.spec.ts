import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { expect, test } from 'vitest'

const fixtureOf = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))
const fixture = fixtureOf('shortage.ts')

test('a listener or a proxy that lacks a descriptor leaves no path and no descriptor, and closes none of the caller', async () => {
  const script = 'ulimit -n 96 && exec "$0" --import tsx "$1"'
  const { stdout } = await promisify(execFile)('sh', [
    '-c',
    script,
    process.execPath,
    fixtureOf('path-shortage.ts'),
  ])
  expect(JSON.parse(stdout)).toEqual({
    codes: ['EMFILE', 'EMFILE', 'EMFILE', 'EMFILE'],
    left: [0, 1],
    remaining: [],
    works: true,
    inherited: [true, true],
  })
})

test('a listener without descriptors does not spin, reports the shortage once, and accepts when descriptors are free', async () => {
  // RLIMIT_NOFILE applies to a process: getrlimit(2).
  const script = 'ulimit -n 96 && exec "$0" --import tsx "$1"'
  const { stdout } = await promisify(execFile)('sh', ['-c', script, process.execPath, fixture])
  const { problems, busyMs, tookMs, acceptedMeanwhile, acceptedAfterwards } = JSON.parse(stdout) as {
    problems: [string, string, number][]
    busyMs: number
    tookMs: number
    acceptedMeanwhile: number
    acceptedAfterwards: number
  }
  expect(problems).toEqual([['EMFILE', 'accept', 10]])
  expect(acceptedMeanwhile).toBe(0)
  expect(acceptedAfterwards).toBe(3)
  expect(busyMs).toBeLessThan(tookMs * 0.4)
})
