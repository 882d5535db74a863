import { describe, expect, onTestFinished, test } from 'vitest'

import { EV, LoopFlag, type EventBase } from '../../index.js'
import { BEV, BufferEvent, socket, type BufferEventOptions } from '../../net.js'
import { openBase } from '../support/base.js'
import { collectUntil } from '../support/garbage.js'
import { baseOn, everyMethod, openDescriptors, pattern } from './support.js'

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

/** The methods that register a descriptor when the loop waits, so that the loop can find it closed then. */
const registeringLate = everyMethod.filter(
  (method) => ['poll', 'select'].includes(method) || method.includes('change'),
)

/**
 * Two sockets, of which the first has the number of a descriptor whose registration was deleted in this pass. With a list
 * of changes, its own registration is deferred to the next wait.
 */
function pairOnUsedNumber(base: EventBase): [number, number] {
  const [used, peer] = socket.pair()
  const event = base.newEvent(used, EV.READ | EV.PERSIST, () => {}).add()
  base.loop(LoopFlag.NONBLOCK)
  event.close()
  socket.close(used)
  const pair = socket.pair()
  expect(pair[0]).toBe(used)
  onTestFinished(() => [peer, pair[1]].forEach((fd) => socket.close(fd)))
  return pair
}

/**
 * Runs a pass in which the file of a descriptor is closed before the wait and replaced after it. The engine then drops the
 * registration and reports readiness. Returns the other end of the new file.
 */
function passWithLostRegistration(base: EventBase, fd: number, before: (far: number) => void): number {
  let far = -1
  const prepare = base.onPrepare(() => socket.close(fd))
  const check = base.onCheck(() => {
    const others: number[] = []
    while (far < 0 && others.length < 200) {
      const pair = socket.pair()
      if (pair.includes(fd)) far = pair.find((one) => one !== fd) as number
      else others.push(...pair)
    }
    for (const one of others) socket.close(one)
    before(far)
  })
  base.loop(LoopFlag.NONBLOCK)
  prepare.close()
  check.close()
  onTestFinished(() => socket.close(far))
  return far
}

describe.each(registeringLate)('%s: a registration that the loop finds lost is made again', (method) => {
  test.each([
    ['and no byte has arrived', ''],
    ['although bytes have arrived', 'early'],
  ])('for reading, %s', (_name, early) => {
    const base = baseOn(method)
    const [near] = pairOnUsedNumber(base)
    const stream = new BufferEvent(base, near).enable(EV.READ)
    const far = passWithLostRegistration(base, near, (peer) => {
      if (early !== '') socket.write(peer, Buffer.from(early))
    })
    expect(String(stream.read() ?? '')).toBe(early)
    socket.write(far, Buffer.from('late'))
    base.loop(LoopFlag.NONBLOCK)
    expect(String(stream.read())).toBe('late')
    stream.close()
  })

  test('for writing', () => {
    const base = baseOn(method)
    const [near] = pairOnUsedNumber(base)
    const block = Buffer.alloc(65_536)
    const fill = (): void => {
      while (socket.write(near, block) > 0);
    }
    fill()
    const stream = new BufferEvent(base, near)
    stream.write('late')
    expect(stream.flush(EV.WRITE, 'flush')).toBe(false)
    const far = passWithLostRegistration(base, near, fill)
    expect(stream.output.length).toBe(4)
    while (socket.read(far, block) > 0);
    base.loop(LoopFlag.NONBLOCK)
    expect(stream.output.length).toBe(0)
    const count = socket.read(far, block)
    expect(String(block.subarray(0, count))).toBe('late')
    stream.close()
  })
})
