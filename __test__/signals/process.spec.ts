import { describe, expect, it } from 'vitest'

import { runFixture } from '../support/child.js'

describe('a process', () => {
  it.each([
    ['SIGINT ends a run in good order', ['0', 'exit 0']],
    ['SIGUSR1 does not start the debugger', ['done', 'exit 0']],
    ['pending keeps a run alive', ['result 0', 'exit 0']],
    ['unref lets the process end', ['exit 0']],
    ['pending without a run keeps nothing alive', ['exit 0']],
    ['a base that is garbage gives its signals back', ['true', 'false', 'exit 0']],
    [
      'a worker hears signals, and its end gives them back',
      ['true', 'worker', 'false', 'true', 'worker', 'false', 'exit 0'],
    ],
    ['a worker, the main thread and Node receive signals', ['main,node,ready,worker', 'main,node', 'exit 0']],
    ['the event is garbage of a worker that exits by itself', ['false', 'exit 0']],
  ])('lives: %s', async (name, lines) => {
    const { code, signal, stdout, stderr } = await runFixture('signals.mjs', name)
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' })
    expect(stdout.trim().split('\n')).toEqual(lines)
  })

  it.each([
    ['the second SIGINT kills', 'SIGINT', 'first\n'],
    ['SIGTERM and SIGINT are Node’s again afterwards', 'SIGTERM', 'true\n'],
  ])('dies: %s', async (name, by, output) => {
    const ended = await runFixture('signals.mjs', name)
    expect(ended).toEqual({ code: null, signal: by, stdout: output, stderr: '' })
  })
})
