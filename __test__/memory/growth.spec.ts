import { describe, expect, it } from 'vitest'

import { runFixture } from '../support/child.js'

const MEBIBYTE = 2 ** 20

describe('resident memory stays flat over half a million', () => {
  it.each([
    'timers that fire',
    'events that are added and deleted',
    'events that are made and dropped',
    'events that are named and closed',
  ])('%s', async (what) => {
    const { code, stdout, stderr } = await runFixture('growth.mjs', what)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    // 64 bytes lost each time would be 30 MiB.
    expect(Number(stdout) / MEBIBYTE).toBeLessThan(30)
  })
})

describe('the heap stays flat over many', () => {
  it.each(['events that are named and closed in one loop', 'bases that are closed in one loop'])(
    '%s',
    async (what) => {
      const { code, stdout, stderr } = await runFixture('growth.mjs', what)
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(Number(stdout) / MEBIBYTE).toBeLessThan(2)
    },
  )
})

describe('resident memory stays flat over ten thousand', () => {
  it('bases that are built, used and closed', async () => {
    const { code, stdout, stderr } = await runFixture('growth.mjs', 'bases')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(Number(stdout) / MEBIBYTE).toBeLessThan(20)
  })
})
