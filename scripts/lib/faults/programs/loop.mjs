// A program that uses the loop in many ways. For each line `round` on the standard input it prints one line of JSON: for
// each activity `ok`, the code of an error, or a description of what is wrong. The line `end` ends it.
// It is JavaScript and uses `dist`, because a process is started for each fault.
import { createInterface } from 'node:readline'
import { Worker } from 'node:worker_threads'

import { EV, EventBase } from '../../../../dist/index.js'
import { BEV, BufferEvent, DatagramBatch, listen, relay, socket } from '../../../../dist/net.js'

const HOST = '127.0.0.1'
/** Milliseconds. Only an activity that hangs takes them. */
const PATIENCE = 60_000
const SIZE = 150_000

const bytes = Buffer.alloc(
  SIZE,
  (() => {
    const block = Buffer.alloc(65_537)
    for (let at = 0; at < block.length; at += 1) block[at] = (at * 31 + (at >> 8)) & 0xff
    return block
  })(),
)

/** A result that no fault explains. */
class Wrong extends Error {}

/** The end of a stream before its last byte. Only the failure of another stream explains it. */
class Cut extends Wrong {}

/** Runs a body with a new base, and closes the base and the descriptors of `own` afterwards. */
async function withBase(body) {
  const own = []
  const base = new EventBase()
  try {
    return await body(base, own)
  } finally {
    base.close()
    for (const fd of own) {
      try {
        socket.close(fd)
      } catch {
        // The descriptor is closed nevertheless.
      }
    }
  }
}

/** A timer and a read event, in that order. */
function prepare(base, own) {
  const seen = []
  const failures = []
  const [near, far] = socket.pair()
  own.push(near, far)
  // An exception of a callback inside the host is uncaught.
  const caught = (callback) => (fd, what) => {
    try {
      callback(fd, what)
    } catch (error) {
      failures.push(error)
      base.loopBreak()
    }
  }
  const read = caught((fd, what) => {
    const buffer = Buffer.alloc(16)
    const count = socket.read(fd, buffer)
    seen.push(what === EV.READ ? String(buffer.subarray(0, Math.max(0, count))) : what)
  })
  const write = caught(() => {
    seen.push('timer')
    // A transfer may be short.
    if (socket.write(far, Buffer.from('ab')) < 1) throw new Wrong('a write to an empty socket would block')
  })
  base.newEvent(near, EV.READ, read).add(PATIENCE)
  base.newTimer(write).add(1)
  return () => {
    if (failures.length > 0) throw failures[0]
    if (!/^timer,ab?$/.test(seen.join())) throw new Wrong(`the callbacks were ${seen.join() || 'not called'}`)
  }
}

/** Settles with the loop, and fails if the loop is not left in time. */
async function running(base, finished) {
  const guard = base.newTimer(() => base.loopBreak())
  guard.add(PATIENCE)
  const run = base.run()
  try {
    await Promise.race([
      finished,
      run.then(() => {
        throw new Wrong('the loop ended early, or the activity hangs')
      }),
    ])
  } finally {
    base.close()
    await run.catch(() => {})
  }
}

/**
 * Writes all bytes to a stream and ends it. Settles when they are written and the other stream has ended, with what was
 * received. A stream that fails is closed, so that the other one does not wait for it.
 */
function exchange(stream, own) {
  return new Promise((resolve, reject) => {
    const parts = []
    let isComplete = false
    const settle = () => {
      if (isComplete && stream.output.length === 0) resolve()
    }
    const fail = (error) => {
      reject(error)
      stream.close()
    }
    const onEvent = (what, from, error) => {
      if ((what & BEV.CONNECTED) !== 0) return
      if ((what & BEV.EOF) === 0) return fail(error ?? new Wrong(`a stream reports ${what} without an error`))
      const rest = from.read()
      if (rest !== undefined) parts.push(rest)
      const received = Buffer.concat(parts)
      if (!received.equals(bytes.subarray(0, received.length))) return fail(new Wrong('wrong bytes arrived'))
      if (received.length < SIZE)
        return fail(new Cut(`a stream of ${SIZE} bytes ends in order after ${received.length}`))
      isComplete = true
      settle()
    }
    stream.setCallbacks({ onRead: (from) => parts.push(from.read()), onWrite: settle, onEvent })
    try {
      stream.enable(EV.READ).end(own)
    } catch (error) {
      fail(error)
    }
  })
}

/** The result of each promise; throws the worst. */
async function all(promises) {
  const results = await Promise.allSettled(promises)
  const reasons = results.filter(({ status }) => status === 'rejected').map(({ reason }) => reason)
  const worst =
    reasons.find((reason) => reason instanceof Wrong && !(reason instanceof Cut)) ??
    reasons.find((reason) => !(reason instanceof Cut)) ??
    reasons[0]
  if (worst !== undefined) throw worst
}

const worker = new Worker(
  `import { parentPort } from 'node:worker_threads'
   import { EventBase } from ${JSON.stringify(new URL('../../../../dist/index.js', import.meta.url).href)}
   parentPort.on('message', ({ token, id }) => {
     let answer = 'ok'
     try {
       const remote = EventBase.connect(token)
       remote.activate(id, 2)
       remote.close()
     } catch (error) {
       answer = error.code ?? String(error)
     }
     parentPort.postMessage(answer)
   })
   parentPort.postMessage('ready')`,
  { eval: true },
)
worker.unref()

const activities = {
  'a blocking loop': () =>
    withBase((base, own) => {
      const check = prepare(base, own)
      base.dispatch()
      check()
    }),

  'a loop inside the host': () =>
    withBase(async (base, own) => {
      const check = prepare(base, own)
      await base.run()
      check()
    }),

  'a promise for readiness': () =>
    withBase(async (base, own) => {
      const [near, far] = socket.pair()
      own.push(near, far)
      const run = base.run()
      const ready = base.wait(near, EV.READ, { timeout: PATIENCE })
      // If the write fails, the end of the base rejects it.
      ready.catch(() => {})
      socket.write(far, Buffer.from('x'))
      const [what] = await Promise.all([ready, run])
      if (what !== EV.READ) throw new Wrong(`the descriptor is readable, and the wait returns ${what}`)
    }),

  'a signal': () =>
    withBase((base) => {
      let calls = 0
      const event = base.newSignal('SIGUSR2', () => {
        calls += 1
        base.loopExit()
      })
      event.add(PATIENCE)
      process.kill(process.pid, 'SIGUSR2')
      base.loop()
      event.close()
      if (calls !== 1) throw new Wrong(`one signal, and ${calls} calls`)
    }),

  'a wake-up': () =>
    withBase(async (base) => {
      let answer
      const answered = new Promise((resolve) => worker.once('message', resolve))
      const woken = new Promise((resolve) => {
        const event = base.newEvent(-1, 0, resolve)
        worker.postMessage({ token: base.share(), id: event.id })
      })
      const failed = answered.then((text) => {
        answer = text
        return text === 'ok' ? woken : Promise.reject(Object.assign(new Error(text), { code: text }))
      })
      await running(base, failed)
      if (answer !== 'ok') throw new Wrong('the worker did not answer')
    }),

  'a pair of streams': () =>
    withBase(async (base) => {
      const pair = BufferEvent.pair(base)
      await running(base, all(pair.map((stream) => exchange(stream, bytes))))
    }),

  'streams over a listener': () =>
    withBase(async (base) => {
      let accepted
      const server = new Promise((resolve, reject) => {
        accepted = (fd) => exchange(new BufferEvent(base, fd), bytes).then(resolve, reject)
      })
      let onError
      const refused = new Promise((_resolve, reject) => {
        // A shortage is retried.
        onError = (error, retryAfter) => {
          if (retryAfter === undefined) reject(error)
        }
      })
      const listener = listen(base, { host: HOST, port: 0, onError }, (fd) => accepted(fd))
      const client = new BufferEvent(base, -1)
      const exchanged = exchange(client, bytes)
      client.connect(listener.address, { timeout: PATIENCE / 2 })
      const served = all([exchanged, Promise.race([server, exchanged.then(() => server)])])
      await running(base, Promise.race([served, refused]))
    }),

  'a relay': () =>
    withBase(async (base) => {
      const [a, b] = socket.pair()
      let c, d
      try {
        ;[c, d] = socket.pair()
      } catch (error) {
        for (const fd of [a, b]) socket.close(fd)
        throw error
      }
      const near = new BufferEvent(base, a)
      const far = new BufferEvent(base, d)
      const ended = new Promise((resolve) => {
        relay(base, b, c, {}, resolve)
      })
      // Unix sockets have no reset: a cut stream looks complete, and the relay reports its error.
      const both = Promise.allSettled([exchange(near, bytes), exchange(far, bytes)])
      await running(base, Promise.all([ended, both]))
      const [{ reason, error }, results] = [await ended, await both]
      if (reason === 'error') throw error
      await all(
        results.map(({ status, reason: why }) => (status === 'rejected' ? Promise.reject(why) : undefined)),
      )
    }),

  datagrams: () =>
    withBase(async (base, own) => {
      const server = socket.bindDatagram({ host: HOST, port: 0 })
      own.push(server)
      const client = socket.connectDatagram(socket.address(server))
      own.push(client)
      const batch = new DatagramBatch()
      const texts = Array.from({ length: 12 }, (_, index) => `datagram ${index}`)
      let sent = 0
      while (sent < texts.length) {
        batch.clear()
        for (const text of texts.slice(sent)) batch.add(Buffer.from(text))
        sent += Math.max(0, socket.sendMany(client, batch))
      }
      const received = []
      const into = new DatagramBatch({ slots: 8 })
      const done = new Promise((resolve, reject) => {
        base
          .newEvent(server, EV.READ | EV.PERSIST, (_fd, _what, event) => {
            try {
              // A registration that the system refuses when the loop polls is dropped, and reported as readiness.
              if (event.pending(EV.READ) === 0) event.add()
              socket.receiveMany(server, into)
              for (let index = 0; index < into.count; index += 1) received.push(String(into.bytes(index)))
              if (received.length >= texts.length) resolve()
            } catch (error) {
              reject(error)
            }
          })
          .add()
      })
      await running(base, done)
      if (received.join() !== texts.join()) throw new Wrong(`the datagrams are ${received.join()}`)
    }),
}

/** Describes the result of an activity. */
async function resultOf(activity) {
  try {
    await activity()
    return 'ok'
  } catch (error) {
    if (error instanceof Wrong) return `wrong: ${error.message}`
    const code = error?.code
    const isCode = typeof code === 'string' && /^(?:E[A-Z0-9]+|ERR_[A-Z_]+)$/.test(code)
    if (!isCode || code === 'ERR_EVENT_INTERNAL') return `wrong: ${error?.stack ?? String(error)}`
    return code
  }
}

worker.once('message', () => {
  const lines = createInterface({ input: process.stdin })
  lines.on('line', async (line) => {
    if (line !== 'round') return lines.close()
    const results = {}
    for (const [name, activity] of Object.entries(activities)) results[name] = await resultOf(activity)
    console.log(JSON.stringify(results))
  })
  lines.once('close', async () => {
    process.stdin.destroy()
    await worker.terminate()
  })
  console.log('ready')
})
