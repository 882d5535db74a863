/** What the specs learn from the system: `scripts/lib/system.mjs`. */

import { spawn, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { describe, expect, it, onTestFinished, test } from 'vitest'

import { until } from '../support/base.js'
import { isStopped } from '../../scripts/lib/system.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const system = 'scripts/lib/system.mjs'

test('no spec, fixture or example reads /proc', () => {
  const files = ['__test__', 'examples']
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
        join(folder, name),
      ),
    )
    .filter((file) => /\.(?:ts|mjs|cjs|js)$/.test(file))
  expect(files).toContain('__test__/support/base.ts')
  const readers = files.filter((file) => /['"`/]\/?proc\//.test(readFileSync(join(root, file), 'utf8')))
  expect(readers.filter((file) => !file.endsWith('/system.spec.ts'))).toEqual([])
})

/** The value of an expression in a process that has a listening socket, with `/proc` or without. */
function report(expression: string, env: NodeJS.ProcessEnv = {}): unknown {
  const script = `
    import { once } from 'node:events'
    import { createServer } from 'node:net'
    import * as system from './${system}'
    const server = createServer().listen(0)
    await once(server, 'listening')
    console.log(JSON.stringify(${expression}))
    server.close()`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: 'utf8',
  })
  expect(stderr).toBe('')
  return JSON.parse(stdout)
}

const without = { EVENT_BASE_TEST_WITHOUT_PROC: '1' }
const hasPs = spawnSync('ps', ['-p', '1']).status === 0

describe.runIf(process.platform === 'linux')('without /proc', () => {
  it('the number of descriptors is the same as with it', () => {
    expect(report('system.openDescriptors()', without)).toBe(report('system.openDescriptors()'))
  })

  it('sockets and pipes are counted as with it', () => {
    const kinds = '[system.descriptors().socket, system.descriptors().pipe]'
    const found = report(kinds, without) as number[]
    expect(found).toEqual(report(kinds))
    expect(found[0]).toBeGreaterThan(0)
    expect(found[1]).toBeGreaterThan(1)
  })

  it.runIf(hasPs)('the processor time and the state of a process are reported', async () => {
    const child = spawn('sleep', ['1000'], { stdio: 'ignore' })
    onTestFinished(() => void child.kill('SIGKILL'))
    expect(report(`system.isStopped(${child.pid})`, without)).toBe(false)
    child.kill('SIGSTOP')
    await until(() => isStopped(child.pid ?? 0))
    expect(report(`system.isStopped(${child.pid})`, without)).toBe(true)
    expect(report(`system.processorSeconds(${child.pid})`, without)).toBe(0)
  })
})
