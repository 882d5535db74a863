import { expect, test } from 'vitest'

import { EV, type EventBase } from '../../index.js'
import { BEV, BufferEvent, socket, type BufferEventOptions } from '../../net.js'
import { openBase } from '../support/base.js'
import { collectUntil } from '../support/garbage.js'
import { openDescriptors, pattern } from './support.js'

/** Pseudorandom integers from 0 to below `most`, which the seed determines. */
function dice(seed: number): (most: number) => number {
  let state = seed | 1
  return (most) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * most)
  }
}

function settings(roll: (most: number) => number): BufferEventOptions {
  return {
    deferCallbacks: roll(2) === 0,
    maxSingleRead: 1 + roll(40_000),
    maxSingleWrite: 1 + roll(100_000),
    ...(roll(3) === 0 ? { readHigh: 1 + roll(30_000) } : {}),
    ...(roll(4) === 0 ? { limit: { rate: 10_000_000, burst: 1 + roll(50_000) } } : {}),
  }
}

type Couple = (base: EventBase, roll: (most: number) => number) => [BufferEvent, BufferEvent]

const couples: [string, Couple][] = [
  [
    'descriptors',
    (base, roll) => {
      const [near, far] = socket.pair()
      return [new BufferEvent(base, near, settings(roll)), new BufferEvent(base, far, settings(roll))]
    },
  ],
  ['pairs in memory', (base, roll) => BufferEvent.pair(base, settings(roll))],
]

/** Sends a number of bytes in pieces while the output is short, and then the end. */
function feed(stream: BufferEvent, bytes: Buffer, roll: (most: number) => number): () => void {
  let sent = 0
  return () => {
    while (!stream.closed && sent < bytes.length && stream.output.length < 50_000) {
      const count = Math.min(1 + roll(20_000), bytes.length - sent)
      const piece = bytes.subarray(sent, sent + count)
      sent += count
      stream.write(piece)
    }
    if (!stream.closed && sent === bytes.length) stream.end()
  }
}

test.each(couples)('through %s an echo returns every byte in order, with any settings', (_name, couple) => {
  for (const seed of [1, 2, 3]) {
    const base = openBase()
    const before = openDescriptors()
    const roll = dice(seed)
    const connections: { expected: Buffer; chunks: Buffer[]; isKilled: boolean; hasEnded: boolean }[] = []
    for (let index = 0; index < 40; index += 1) {
      const [client, echo] = couple(base, roll)
      const expected = pattern(roll(400_000), index + 1)
      const seen = { expected, chunks: [] as Buffer[], isKilled: roll(5) === 0, hasEnded: false }
      connections.push(seen)
      const killAt = roll(expected.length + 1)
      let count = 0
      echo.setCallbacks({
        onRead: ({ input, output }) => void input.moveTo(output),
        onEvent: (what, stream) => {
          if ((what & BEV.ERROR) !== 0) stream.close()
          else stream.end()
        },
      })
      const more = feed(client, expected, roll)
      client.setCallbacks({
        onWrite: more,
        onRead: ({ input }) => {
          for (let chunk = input.shift(); chunk !== undefined; chunk = input.shift()) {
            seen.chunks.push(Buffer.from(chunk))
            count += chunk.length
          }
          if (seen.isKilled && count >= killAt) {
            client.close()
            echo.close()
          }
        },
        onEvent: (what) => {
          seen.hasEnded = (what & BEV.EOF) !== 0
          client.close()
          echo.close()
        },
      })
      more()
      client.enable(EV.READ)
      echo.enable(EV.READ)
    }
    base.dispatch()
    for (const [index, { expected, chunks, isKilled, hasEnded }] of connections.entries()) {
      const all = Buffer.concat(chunks)
      const what = `seed ${seed}, stream ${index}`
      if (!isKilled)
        expect({ length: all.length, hasEnded }, what).toEqual({ length: expected.length, hasEnded: true })
      expect(all.equals(expected.subarray(0, all.length)), what).toBe(true)
    }
    expect(openDescriptors()).toBe(before)
    expect(base.events()).toEqual([])
  }
})

test('a closed stream and its chunks can be collected', async () => {
  const base = openBase()
  const references: WeakRef<object>[] = []
  ;(() => {
    const [near, far] = socket.pair()
    const stream = new BufferEvent(base, near, { onRead: () => {}, limit: { rate: 1000 } }).enable(EV.READ)
    const bytes = Buffer.alloc(1 << 20)
    stream.write(bytes)
    references.push(new WeakRef(stream), new WeakRef(bytes))
    base.loop(3)
    stream.close()
    socket.close(far)
  })()
  expect(await collectUntil(() => references.every((reference) => reference.deref() === undefined))).toBe(
    true,
  )
})
