import { describe, expect, test } from 'vitest'

import type { EventBase } from '../../index.js'
import { RateGroup, relay, socket, type RateLimit } from '../../net.js'
import { atSomePace } from '../support/base.js'
import { baseOn, everyMethod, openRelay, running, sleep, thrown, until } from './support.js'

const BLOCK = Buffer.alloc(65_536, 7)

/** A relay in the group whose client sends as much as it can, to a server that reads everything. */
async function greedy(base: EventBase, group: RateGroup) {
  const { a, b, pipe } = await openRelay(base, { group })
  for (const { far } of [a, b]) far.on('error', () => {})
  const more = (): void => {
    while (!a.far.destroyed && a.far.write(BLOCK));
  }
  a.far.on('drain', more)
  b.far.resume()
  more()
  return pipe
}

describe.each(everyMethod)('on %s', (method) => {
  test('the members together transfer at the rate, and each gets its share', async () => {
    const base = await running(method)
    await atSomePace(async (pace) => {
      const [rate, burst] = [1_000_000 / pace, 20_000]
      const group = new RateGroup(base, { rate, burst })
      const start = performance.now()
      const pipes = await Promise.all([greedy(base, group), greedy(base, group), greedy(base, group)])
      expect(group.members).toBe(3)
      await sleep(300 * pace)
      const each = pipes.map(({ stats }) => stats.bytesAToB)
      const took = (performance.now() - start) / 1000
      for (const pipe of pipes) pipe.close()
      expect(group.members).toBe(0)
      const all = each.reduce((sum, one) => sum + one, 0)
      expect(all).toBeLessThanOrEqual(burst + rate * took + 1)
      return all >= rate * took * 0.6 && each.every((one) => one >= (rate * took) / 3 / 3)
    })
  })

  test('a new limit, and the end of the group, take effect on members that wait', async () => {
    const base = await running(method)
    const group = new RateGroup(base, { rate: 1 })
    const pipe = await greedy(base, group)
    await until(() => pipe.stats.bytesAToB > 0, 'the first byte')
    expect(pipe.stats.bytesAToB).toBeLessThan(1000)
    group.setLimit({ rate: 10_000_000, burst: 100_000 })
    await until(() => pipe.stats.bytesAToB > 100_000, 'the new limit')
    group.setLimit({ rate: 1 })
    const { bytesAToB } = pipe.stats
    group.close()
    group.close()
    expect(group.closed).toBe(true)
    await until(() => pipe.stats.bytesAToB > bytesAToB + 1_000_000, 'the end of the limit')
    expect(group.members).toBe(1)
    pipe.close()
    expect(group.members).toBe(0)
  })
})

test('a group that is closed, or of another base, accepts no members, and the caller keeps the descriptors', () => {
  const base = baseOn()
  const [a, b] = socket.pair()
  const foreign = new RateGroup(baseOn(), { rate: 1 })
  const group = new RateGroup(base, { rate: 1 })
  group[Symbol.dispose]()
  expect(thrown(() => relay(base, a, b, { group }))).toMatchObject({ code: 'ERR_EVENT_CLOSED' })
  expect(thrown(() => relay(base, a, b, { group: foreign }))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
  expect(thrown(() => group.setLimit({ rate: 1 }))).toMatchObject({ code: 'ERR_EVENT_CLOSED' })
  expect(group.members).toBe(0)
  socket.close(a)
  socket.close(b)
})

test('closing the base takes its relays out of the group', async () => {
  const base = baseOn()
  const group = new RateGroup(base, { rate: 1 })
  const [near, far] = [socket.pair(), socket.pair()]
  relay(base, near[0], far[0], { group })
  expect(group.members).toBe(1)
  base.close()
  expect(group.members).toBe(0)
  group.close()
  socket.close(near[1])
  socket.close(far[1])
})

const wrong: [string, string, unknown][] = [
  ['no limit', 'ERR_INVALID_ARG_TYPE', undefined],
  ['a limit of 5', 'ERR_INVALID_ARG_TYPE', 5],
  ['no rate', 'ERR_INVALID_ARG_TYPE', {}],
  ['a rate of 0', 'ERR_OUT_OF_RANGE', { rate: 0 }],
  ['a negative rate', 'ERR_OUT_OF_RANGE', { rate: -5 }],
  ['half a byte', 'ERR_OUT_OF_RANGE', { rate: 0.5 }],
  ['NaN', 'ERR_OUT_OF_RANGE', { rate: Number.NaN }],
  ['a burst of 0', 'ERR_OUT_OF_RANGE', { rate: 1, burst: 0 }],
  ['text for a burst', 'ERR_INVALID_ARG_TYPE', { rate: 1, burst: '5' }],
]

test.each(wrong)('%s is refused: %s', (_what, code, limit) => {
  const base = baseOn()
  expect(thrown(() => new RateGroup(base, limit as RateLimit))).toMatchObject({ name: 'EventError', code })
  const group = new RateGroup(base, { rate: 1 })
  expect(thrown(() => group.setLimit(limit as RateLimit))).toMatchObject({ name: 'EventError', code })
})

test('a group needs an open base', () => {
  const base = baseOn()
  base.close()
  expect(thrown(() => new RateGroup(base, { rate: 1 }))).toMatchObject({ code: 'ERR_EVENT_CLOSED' })
  expect(thrown(() => new RateGroup({} as EventBase, { rate: 1 }))).toMatchObject({
    code: 'ERR_INVALID_ARG_TYPE',
  })
})
