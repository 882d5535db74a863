import { describe, expect, it } from 'vitest'

import { runFixture } from '../support/child.js'
import { reportsHandlers } from '../../scripts/lib/system.mjs'

/** Cases, with the lines that they print. */
const living: [string, string[]][] = [
  ['SIGINT ends a run normally', ['0', 'exit 0']],
  ['SIGUSR1 does not start the debugger', ['done', 'exit 0']],
  ['pending keeps a run alive', ['result 0', 'exit 0']],
  ['unref lets the process end', ['exit 0']],
  ['pending without a run keeps nothing alive', ['exit 0']],
  ['a worker, the main thread and Node receive signals', ['main,node,ready,worker', 'main,node', 'exit 0']],
]

/** Cases that print whether the process has a handler. */
const handling: [string, string[]][] = [
  ['the collection of a base restores the dispositions of its signals', ['true', 'false', 'exit 0']],
  [
    'a worker receives signals, and its end restores their dispositions',
    ['true', 'worker', 'false', 'true', 'worker', 'false', 'exit 0'],
  ],
  ['the event of a worker that exits by itself is collected', ['false', 'exit 0']],
]

async function lives(name: string, lines: string[]): Promise<void> {
  const { code, signal, stdout, stderr } = await runFixture('signals.mjs', name)
  expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' })
  expect(stdout.trim().split('\n')).toEqual(lines)
}

async function dies(name: string, by: string, output: string): Promise<void> {
  const ended = await runFixture('signals.mjs', name)
  expect(ended).toEqual({ code: null, signal: by, stdout: output, stderr: '' })
}

describe('a process', () => {
  it.each(living)('lives: %s', lives)
  it.runIf(reportsHandlers).each(handling)('lives: %s', lives)

  it('dies: the second SIGINT kills', () => dies('the second SIGINT kills', 'SIGINT', 'first\n'))
  it.runIf(reportsHandlers)('dies: the handlers that Node has for SIGTERM and SIGINT are restored', () =>
    dies('the handlers that Node has for SIGTERM and SIGINT are restored', 'SIGTERM', 'true\n'),
  )
})
