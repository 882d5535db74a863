import { describe, expect, it } from 'vitest'

import { LoopFlag, LoopResult } from '../../index.js'
import { openBase } from '../support/base.js'
import { codeOf, refusal, rejectionOf } from '../support/errors.js'

describe('inside a callback', () => {
  it('C-014: the loop of the same base is refused, and the outer one continues', () => {
    const base = openBase()
    const codes: string[] = []
    base
      .newTimer(() => {
        codes.push(refusal(() => base.loop(LoopFlag.NONBLOCK)))
        codes.push(refusal(() => base.dispatch()))
      })
      .add(0)
    base.newTimer(() => codes.push('still running')).add(1)
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(codes).toEqual(['ERR_EVENT_REENTRANT', 'ERR_EVENT_REENTRANT', 'still running'])
  })

  it('run() of the same base is refused', async () => {
    const base = openBase()
    let rejection: Promise<unknown> | undefined
    base.newTimer(() => (rejection = rejectionOf(base.run()))).add(0)
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(codeOf(await rejection)).toBe('ERR_EVENT_REENTRANT')
  })

  it('the loop of another base may run', () => {
    const outer = openBase()
    const inner = openBase()
    const order: string[] = []
    inner.newTimer(() => order.push('inner')).add(1)
    outer
      .newTimer(() => {
        order.push('before')
        expect(inner.dispatch()).toBe(LoopResult.EMPTY)
        order.push('after')
      })
      .add(0)
    expect(outer.dispatch()).toBe(LoopResult.EMPTY)
    expect(order).toEqual(['before', 'inner', 'after'])
  })
})
