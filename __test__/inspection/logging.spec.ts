import { subscribe, unsubscribe } from 'node:diagnostics_channel'

import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'

import {
  type BaseMessage,
  EV,
  EventBase,
  EventConfig,
  LoopFlag,
  type LogMessage,
  setLogCallback,
} from '../../index.js'
import { never, openBase } from '../support/base.js'
import { runFixture } from '../support/child.js'
import { close, openPair } from '../support/descriptors.js'
import { refusal } from '../support/errors.js'

/** Closes a descriptor under its event, and lets the base notice. */
function orphan(base: EventBase): number {
  const [left] = openPair()
  base.newEvent(left, EV.READ, never).add()
  close(left)
  const [again] = openPair()
  expect(again).toBe(left)
  base.newEvent(again, EV.READ, never).add().close()
  return left
}

/** The messages that a channel publishes until the test ends. */
function listenTo<Message>(name: string): Message[] {
  const messages: Message[] = []
  const listener = (message: unknown): void => void messages.push(message as Message)
  subscribe(name, listener)
  onTestFinished(() => void unsubscribe(name, listener))
  return messages
}

const closeIt = (message: unknown): void => (message as BaseMessage).base.close()

const soon = (): Promise<void> => new Promise((resolve) => void setTimeout(resolve, 20))

describe('messages', () => {
  let received: LogMessage[] = []

  beforeEach(() => {
    received = []
    setLogCallback((message) => received.push(message))
  })

  afterEach(() => setLogCallback(undefined))

  it('of a closed descriptor name it and the base, once the host’s loop continues', async () => {
    const base = openBase()
    const fd = orphan(base)
    expect(received).toEqual([])
    await soon()
    expect(received).toEqual([
      {
        severity: 'warning',
        message: expect.stringContaining(`descriptor ${fd} `) as string,
        base,
        method: undefined,
      },
    ])
  })

  it('are reported inside a loop that blocks', () => {
    const base = openBase()
    const counts: number[] = []
    base.newTimer(() => void orphan(base)).add(0)
    base.newTimer(() => counts.push(received.length)).add(5)
    base.dispatch()
    expect(counts).toEqual([1])
  })

  it('are reported during run(), between its callbacks', async () => {
    const base = openBase()
    const counts: number[] = []
    base.newTimer(() => void orphan(base)).add(0)
    base.newTimer(() => counts.push(received.length)).add(60)
    await base.run()
    expect(counts).toEqual([1])
  })

  it('are published to event-base:log as well', async () => {
    const published = listenTo<LogMessage>('event-base:log')
    orphan(openBase())
    await soon()
    expect(received).toHaveLength(1)
    expect(published).toEqual(received)
  })

  it('of EVENT_SHOW_METHOD are reported before the constructor returns', () => {
    process.env['EVENT_SHOW_METHOD'] = ''
    try {
      const base = openBase()
      expect(received).toEqual([
        {
          severity: 'message',
          message: `event-base using: ${base.method}`,
          base: undefined,
          method: base.method,
        },
      ])
    } finally {
      delete process.env['EVENT_SHOW_METHOD']
    }
  })

  it('of bases that were collected have no base', async () => {
    const base = openBase()
    orphan(base)
    base.close()
    await soon()
    expect(received.map((message) => message.base)).toEqual([undefined])
  })

  it('more than a thousand are counted', async () => {
    const base = openBase()
    for (let count = 0; count < 1100; count += 1) orphan(base)
    await soon()
    expect(received).toHaveLength(1025)
    expect(received.at(-1)?.message).toContain('76 more')
  })
})

describe('a log callback', () => {
  afterEach(() => setLogCallback(undefined))

  it('may use the base, and cause messages of its own', async () => {
    const base = openBase()
    let calls = 0
    setLogCallback((message) => {
      calls += 1
      expect(message.base?.events()).toHaveLength(0)
      if (calls === 1) orphan(base)
    })
    orphan(base)
    await soon()
    expect(calls).toBe(2)
  })

  it('must be a function, or undefined', () => {
    for (const wrong of [1, null, 'text', {}]) {
      expect(refusal(() => setLogCallback(wrong as never))).toBe('ERR_INVALID_ARG_TYPE')
    }
  })

  it.each([
    ['by default', '[msg] event-base using: METHOD\n[warn] descriptor N was closed\n'],
    ['with a callback', ''],
    ['with a subscriber', '[msg] event-base using: METHOD\n[warn] descriptor N was closed\n'],
    ['in a worker', '[msg] event-base using: METHOD\n[warn] descriptor N was closed\n'],
  ])('decides whether messages go to the standard error: %s', async (name, expected) => {
    const { code, stdout, stderr } = await runFixture('logging.mjs', name)
    const text = stderr
      .replace(/ N? ?\d+ was closed.*$/m, ' N was closed')
      .replace(/using: .*$/m, 'using: METHOD')
    expect({ code, text }).toEqual({ code: 0, text: expected })
    expect(stdout).toBe(name === 'by default' || name === 'in a worker' ? '' : 'message\nwarning\n')
  })

  it('that throws does not interrupt the call in progress', async () => {
    const { code, stdout, stderr } = await runFixture('logging.mjs', 'that throws')
    expect(stdout).toBe('made\nuncaught: no\n')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })

  it('of a worker receives messages of the worker’s bases only', async () => {
    const { code, stdout } = await runFixture('logging.mjs', 'two threads')
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'worker: 1, main: 0\n' })
  })
})

describe('event-base:base', () => {
  it('carries a base that was made, and one that was closed', () => {
    const messages = listenTo<BaseMessage>('event-base:base')
    const base = new EventConfig().build()
    expect(messages).toEqual([{ change: 'created', base }])
    base.close()
    base.close()
    expect(messages.slice(1)).toEqual([{ change: 'closed', base }])
  })

  it('may close the base in the message that it was created', () => {
    subscribe('event-base:base', closeIt)
    const base = new EventBase()
    unsubscribe('event-base:base', closeIt)
    expect(base.closed).toBe(true)
    expect(refusal(() => base.loop(LoopFlag.NONBLOCK))).toBe('ERR_EVENT_CLOSED')
  })
})
