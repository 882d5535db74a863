// The package as it is published, on any runtime: `node`, `bun run` or `deno run -A` this file.
// Prints `N passed, N failed` and ends with code 1 if anything failed.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import process from 'node:process'

import { EV, EventBase, EventConfig, EventError, LoopFlag, LoopResult } from '../../dist/index.js'
import { connect, listen, relay, socket } from '../../dist/net.js'

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))
const tests = []
const test = (title, body) => tests.push({ title, body })

/** Reads all available bytes as text. */
function receive(fd) {
  const buffer = Buffer.alloc(65_536)
  const count = socket.read(fd, buffer)
  return count < 0 ? undefined : buffer.toString('latin1', 0, count)
}

const send = (fd, text) => socket.write(fd, Buffer.from(text))

/** Runs with a base and two connected sockets. */
const withPair = (body) => async () => {
  const base = new EventBase()
  const pair = socket.pair()
  try {
    await body(base, ...pair)
  } finally {
    base.close()
    for (const fd of pair) {
      try {
        socket.close(fd)
      } catch {
        // The test closed it.
      }
    }
  }
}

test('a timer is exact', () => {
  const base = new EventBase()
  const start = performance.now()
  base.newTimer(() => {}).add(1.5)
  assert.equal(base.dispatch(), LoopResult.EMPTY)
  assert.ok(performance.now() - start >= 1.5)
  base.close()
})

test(
  'loop() reports readiness',
  withPair((base, left, right) => {
    const seen = []
    base.newEvent(left, EV.READ, (fd, what) => seen.push(what, receive(fd))).add()
    base.newTimer(() => send(right, 'hello')).add(1)
    assert.equal(base.loop(), LoopResult.EMPTY)
    assert.deepEqual(seen, [EV.READ, 'hello'])
  }),
)

test(
  'run() reports readiness beside the host',
  withPair(async (base, left, right) => {
    const seen = []
    const event = base.newEvent(left, EV.READ | EV.PERSIST, (fd) => {
      const text = receive(fd)
      seen.push(text)
      if (text === 'first') setTimeout(() => send(right, 'second'), 30)
      else event.del()
    })
    event.add()
    const running = base.run()
    setTimeout(() => {
      seen.push('setTimeout')
      send(right, 'first')
    }, 2)
    assert.equal(await running, LoopResult.EMPTY)
    assert.deepEqual(seen, ['setTimeout', 'first', 'second'])
  }),
)

test('run() drains microtasks between callbacks', async () => {
  const base = new EventBase()
  const order = []
  for (const name of ['a', 'b']) {
    base
      .newEvent(-1, 0, () => {
        order.push(name)
        queueMicrotask(() => order.push(`${name} microtask`))
      })
      .activate()
  }
  await base.run()
  assert.deepEqual(order, ['a', 'a microtask', 'b', 'b microtask'])
  base.close()
})

test('run() is woken by an earlier timer, an exit and an abort', async () => {
  const base = new EventBase()
  const long = base.newTimer(() => {}).add(60_000)
  let running = base.run()
  await sleep(2)
  base.newTimer(() => long.del()).add(1)
  assert.equal(await running, LoopResult.EMPTY)
  long.add(60_000)
  running = base.run()
  await sleep(2)
  base.loopExit()
  assert.equal(await running, LoopResult.STOPPED)
  const controller = new AbortController()
  running = base.run({ signal: controller.signal })
  setTimeout(() => controller.abort(new Error('enough')), 2)
  await assert.rejects(running, /enough/)
  base.close()
})

test('run() of a closed base resolves', async () => {
  const base = new EventBase()
  base.newTimer(() => {}).add(60_000)
  const running = base.run()
  await sleep(2)
  base.close()
  assert.equal(await running, LoopResult.STOPPED)
})

test('AsyncLocalStorage has the value from where an event was made', async () => {
  const storage = new AsyncLocalStorage()
  const base = new EventBase()
  const seen = []
  storage.run('here', () => base.newTimer(() => seen.push(storage.getStore())).add(1))
  await base.run()
  assert.deepEqual(seen, ['here'])
  base.close()
})

test(
  'wait() and watch() report readiness',
  withPair(async (base, left, right) => {
    const keeping = base.newTimer(() => {}).add(60_000)
    const running = base.run()
    send(right, 'x')
    assert.equal(await base.wait(left, EV.READ, { timeout: 10_000 }), EV.READ)
    assert.equal(receive(left), 'x')
    assert.equal(await base.wait(left, EV.READ, { timeout: 2 }), EV.TIMEOUT)
    const received = []
    send(right, '1')
    for await (const what of base.watch(left, EV.READ)) {
      assert.equal(what, EV.READ)
      received.push(receive(left))
      if (received.length === 3) break
      send(right, String(received.length + 1))
    }
    assert.deepEqual(received, ['1', '2', '3'])
    keeping.del()
    assert.equal(await running, LoopResult.EMPTY)
  }),
)

test('priorities are dispatched in order', () => {
  const base = new EventConfig().setPriorities(3).build()
  const order = []
  for (const priority of [2, 0, 1]) {
    base.newEvent(-1, 0, () => order.push(priority), { priority }).activate()
  }
  base.dispatch()
  assert.deepEqual(order, [0, 1, 2])
  base.close()
})

test('what a callback throws is thrown by loop() unchanged', () => {
  const base = new EventBase()
  for (const thrown of [new Error('mine'), 'a string', undefined, { an: 'object' }]) {
    base
      .newTimer(() => {
        throw thrown
      })
      .add(0)
    let caught = 'nothing'
    try {
      base.dispatch()
    } catch (error) {
      caught = error
    }
    assert.equal(caught, thrown)
  }
  assert.equal(base.loop(LoopFlag.NONBLOCK), LoopResult.EMPTY)
  base.close()
})

test('what a callback throws under run() is an uncaught exception, and the run continues', async () => {
  const base = new EventBase()
  const order = []
  const handle = (error) => order.push(`handled ${error.message}`)
  process.on('uncaughtException', handle)
  base
    .newTimer(() => {
      order.push('first')
      throw new Error('mine')
    })
    .add(1)
  base.newTimer(() => order.push('second')).add(3)
  assert.equal(await base.run(), LoopResult.EMPTY)
  process.off('uncaughtException', handle)
  assert.deepEqual(order, ['first', 'handled mine', 'second'])
  base.close()
})

test('errors have their codes', () => {
  const base = new EventBase()
  assert.throws(
    () => base.newTimer(1),
    (error) => error instanceof EventError && error.code === 'ERR_INVALID_ARG_TYPE',
  )
  assert.throws(() => base.newEvent(0x7fff_fff0, EV.READ, () => {}).add(), { code: 'EBADF', fd: 0x7fff_fff0 })
  base
    .newTimer(() => {
      assert.throws(() => base.loop(), { code: 'ERR_EVENT_REENTRANT' })
    })
    .add(0)
  base.dispatch()
  base.close()
  assert.throws(() => base.loop(), { code: 'ERR_EVENT_CLOSED' })
})

test('a relay passes bytes and the end of the stream between an accepted and an established connection', async () => {
  const base = new EventBase()
  const accepted = []
  const listener = listen(base, { host: '127.0.0.1', port: 0 }, (fd) => accepted.push(fd))
  const keeping = base.newTimer(() => {}).add(60_000)
  const running = base.run()
  const client = await connect(base, listener.address)
  const upstream = await connect(base, listener.address)
  while (accepted.length < 2) await sleep(1)
  const [near, far] = accepted
  const ended = new Promise((resolve) => relay(base, near, upstream, {}, resolve))
  send(client, 'through the relay')
  assert.equal(await base.wait(far, EV.READ), EV.READ)
  assert.equal(receive(far), 'through the relay')
  send(far, 'and back')
  await base.wait(client, EV.READ)
  assert.equal(receive(client), 'and back')
  socket.close(client)
  await base.wait(far, EV.READ)
  assert.equal(receive(far), '')
  socket.close(far)
  const { bytesAToB, bytesBToA } = await ended
  assert.deepEqual({ bytesAToB, bytesBToA }, { bytesAToB: 17, bytesBToA: 8 })
  listener.close()
  keeping.del()
  assert.equal(await running, LoopResult.EMPTY)
  base.close()
})

test('a thousand bases work in a row, and a hundred runs at a time end', async () => {
  for (let round = 0; round < 1000; round += 1) {
    const base = new EventBase()
    base.newTimer(() => {}).add(0)
    base.dispatch()
    base.close()
  }
  const runs = Array.from({ length: 100 }, () => {
    const base = new EventBase()
    base.newTimer(() => base.close()).add(1)
    return base.run()
  })
  assert.deepEqual(new Set(await Promise.all(runs)), new Set([LoopResult.STOPPED]))
})

let failed = 0
for (const { title, body } of tests) {
  try {
    await body()
    console.log(`ok - ${title}`)
  } catch (error) {
    failed += 1
    console.log(`not ok - ${title}\n`, error)
  }
}
console.log(`${tests.length - failed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
