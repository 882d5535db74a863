import { AsyncLocalStorage } from 'node:async_hooks'

import { describe, expect, it } from 'vitest'

import { EV } from '../../index.js'
import { openBase } from '../support/base.js'
import { openPair, writeText } from '../support/descriptors.js'

describe('AsyncLocalStorage', () => {
  it('has the value from where an event was made', async () => {
    const storage = new AsyncLocalStorage<string>()
    const base = openBase()
    const [left, right] = openPair()
    const seen: [string, string | undefined][] = []
    storage.run('timer', () => base.newTimer(() => seen.push(['timer', storage.getStore()])).add(1))
    storage.run('read', () =>
      base.newEvent(left, EV.READ, () => seen.push(['read', storage.getStore()])).add(),
    )
    storage.run('once', () => base.once(-1, EV.TIMEOUT, () => seen.push(['once', storage.getStore()])))
    base.newTimer(() => seen.push(['none', storage.getStore()])).add(0)
    writeText(right, 'x')
    await storage.run('run', () => base.run())
    expect(Object.fromEntries(seen)).toEqual({ timer: 'timer', read: 'read', once: 'once', none: undefined })
  })

  it('has the value in each callback of a persistent event, and in what that starts', async () => {
    const storage = new AsyncLocalStorage<number>()
    const base = openBase()
    const seen: (number | undefined)[] = []
    for (const number of [1, 2]) {
      storage.run(number, () => {
        let count = 0
        const timer = base.newTimer(
          () => {
            seen.push(storage.getStore())
            queueMicrotask(() => seen.push(storage.getStore()))
            process.nextTick(() => seen.push(storage.getStore()))
            count += 1
            if (count === 3) timer.del()
          },
          { persist: true },
        )
        timer.add(1)
      })
    }
    await base.run()
    expect(seen.toSorted()).toEqual([...Array<number>(9).fill(1), ...Array<number>(9).fill(2)])
    for (let index = 0; index < seen.length; index += 3) {
      expect(new Set(seen.slice(index, index + 3)).size).toBe(1)
    }
  })

  it('passes from a callback to the event made in it', async () => {
    const storage = new AsyncLocalStorage<string>()
    const base = openBase()
    const seen: (string | undefined)[] = []
    storage.run('outer', () => {
      base
        .newTimer(() => {
          base.newTimer(() => seen.push(storage.getStore())).add(0)
          storage.run('inner', () => base.newTimer(() => seen.push(storage.getStore())).add(1))
        })
        .add(0)
    })
    await base.run()
    expect(seen).toEqual(['outer', 'inner'])
  })

  it('passes through the promise of wait()', async () => {
    const storage = new AsyncLocalStorage<string>()
    const base = openBase()
    const [left, right] = openPair()
    const seen: (string | undefined)[] = []
    const waiting = storage.run('waiting', async () => {
      await base.wait(left, EV.READ)
      seen.push(storage.getStore())
    })
    writeText(right, 'x')
    await Promise.all([base.run(), waiting])
    expect(seen).toEqual(['waiting'])
  })
})
