/** How a script ends when it is interrupted: `scripts/lib/exit.ts`. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { expect, onTestFinished, test } from 'vitest'

import { until } from '../support/base.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

const SCRIPT = `
  import { spawn } from 'node:child_process'
  import { endWithThis, temporaryFolder } from './scripts/lib/exit.ts'
  import { main, run } from './scripts/lib/run.ts'
  await main(async () => {
    console.log('folder', temporaryFolder('spec'))
    console.log('process', endWithThis(spawn('sleep', ['1000'], { stdio: 'ignore' })).pid)
    return (await run('sh', ['-c', 'echo process $$; exec sleep 1000'])).code === 0
  })`

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)('a script that %s interrupts leaves no process and no folder', async (signal, code) => {
  const args = ['--import', 'tsx', '--input-type=module', '--eval', SCRIPT]
  const script = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void script.kill('SIGKILL'))
  let out = ''
  script.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  const pids = (): number[] => [...out.matchAll(/^process (\d+)$/gm)].map(([, pid]) => Number(pid))
  await until(() => pids().length === 2)
  const folder = /^folder (.+)$/m.exec(out)?.[1] ?? ''
  expect(existsSync(folder)).toBe(true)
  expect(pids().every(isRunning)).toBe(true)
  script.kill(signal)
  expect(await once(script, 'exit')).toEqual([code, null])
  expect(existsSync(folder)).toBe(false)
  await until(() => !pids().some(isRunning))
})
