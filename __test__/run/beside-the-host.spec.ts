import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'

import { describe, expect, it } from 'vitest'

import { LoopResult } from '../../index.js'
import { openBase } from '../support/base.js'

describe('during run()', () => {
  it("Node's timers, immediates, promises and files work", async () => {
    const base = openBase()
    const seen = new Set<string>()
    const ticking = base.newTimer(() => {}, { persist: true }).add(0.5)
    const running = base.run()
    setTimeout(() => seen.add('setTimeout'), 1)
    setImmediate(() => seen.add('setImmediate'))
    process.nextTick(() => seen.add('nextTick'))
    queueMicrotask(() => seen.add('microtask'))
    await readFile(import.meta.filename)
    seen.add('readFile')
    while (!seen.has('setTimeout')) await new Promise((resolve) => setTimeout(resolve, 1))
    ticking.del()
    expect(await running).toBe(LoopResult.EMPTY)
    expect([...seen].toSorted()).toEqual(['microtask', 'nextTick', 'readFile', 'setImmediate', 'setTimeout'])
  })

  it("Node's sockets work", async () => {
    const base = openBase()
    const ticking = base.newTimer(() => {}, { persist: true }).add(0.5)
    const running = base.run()
    const server = createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const client = connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1')
    const [data] = (await once(client, 'data')) as [Buffer]
    expect(data.toString()).toBe('hello')
    client.destroy()
    server.close()
    ticking.del()
    expect(await running).toBe(LoopResult.EMPTY)
  })

  it('another base can run, and callbacks of both run', async () => {
    const bases = [openBase(), openBase()]
    const calls = [0, 0]
    bases.forEach((base, index) => {
      const timer = base.newTimer(
        () => {
          calls[index] = (calls[index] ?? 0) + 1
          // Neither timer ends before both have been called five times.
          if (calls.every((count) => count >= 5)) timer.del()
        },
        { persist: true },
      )
      timer.add(2)
    })
    expect(await Promise.all(bases.map((base) => base.run()))).toEqual([1, 1])
    expect(Math.min(...calls)).toBeGreaterThanOrEqual(5)
  })

  it('twenty bases can run', async () => {
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) => {
        const base = openBase()
        base.newTimer(() => {}).add(index / 4)
        return base.run()
      }),
    )
    expect(results).toEqual(Array.from({ length: 20 }, () => LoopResult.EMPTY))
  })

  it('the blocking loop of another base may run in a callback', async () => {
    const base = openBase()
    const inner = openBase()
    const order: string[] = []
    inner.newTimer(() => order.push('inner')).add(1)
    base
      .newTimer(() => {
        expect(inner.dispatch()).toBe(LoopResult.EMPTY)
        order.push('outer')
      })
      .add(0)
    await base.run()
    expect(order).toEqual(['inner', 'outer'])
  })
})

describe('a flood of events', () => {
  it("does not starve Node's own timers", async () => {
    const base = openBase()
    let count = 0
    let running = true
    const again = base.newEvent(-1, 0, () => {
      count += 1
      if (running) again.activate()
    })
    again.activate()
    const done = base.run()
    await new Promise((resolve) => setTimeout(resolve, 5))
    running = false
    expect(await done).toBe(LoopResult.EMPTY)
    expect(count).toBeGreaterThan(0)
  })

  it('of thousands of active events lets the host run in between', async () => {
    const base = openBase()
    let count = 0
    for (let number = 0; number < 20_000; number += 1) base.newEvent(-1, 0, () => (count += 1)).activate()
    const done = base.run()
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
    expect(count).toBeLessThan(20_000)
    expect(await done).toBe(LoopResult.EMPTY)
    expect(count).toBe(20_000)
  })
})
