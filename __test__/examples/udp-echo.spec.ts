import { createSocket, type Socket } from 'node:dgram'

import { expect, onTestFinished, test } from 'vitest'

import { Echo } from '../../examples/udp-echo.js'
import { DatagramBatch, socket, type InternetAddress } from '../../net.js'
import { LOOPBACK, pattern, until } from '../net/support.js'
import { isStopped } from '../../scripts/lib/system.mjs'
import { example, portOf, stop } from './support.js'

async function client(): Promise<Socket> {
  const made = createSocket('udp4')
  onTestFinished(() => void made.close())
  await new Promise<void>((resolve) => {
    made.bind(0, LOOPBACK, resolve)
  })
  return made
}

test('every datagram of a burst is returned once, unchanged', async () => {
  const running = example('udp-echo')
  const port = await portOf(running)
  const far = await client()
  const seen = new Map<number, number>()
  let wrong = 0
  far.on('message', (bytes) => {
    const index = bytes.readUInt32LE()
    seen.set(index, (seen.get(index) ?? 0) + 1)
    if (!bytes.subarray(4).equals(pattern(60, index))) wrong += 1
  })
  // Loopback drops datagrams only if a buffer is full. The smallest default, about 200 KiB, has room for a burst, of which
  // each datagram takes 768 bytes; of a thousand at a time the system could drop some.
  const burst = 200
  for (let sent = 0; sent < 1000; sent += burst) {
    // The server is stopped until all datagrams have arrived.
    running.process.kill('SIGSTOP')
    await until(() => isStopped(running.process.pid ?? 0))
    for (let index = sent; index < sent + burst; index++) {
      const bytes = Buffer.alloc(64)
      bytes.writeUInt32LE(index)
      pattern(60, index).copy(bytes, 4)
      await new Promise((resolve) => {
        far.send(bytes, port, LOOPBACK, resolve)
      })
    }
    running.process.kill('SIGCONT')
    await until(() => seen.size === sent + burst, `the echo of ${sent + burst}`)
  }
  expect(wrong).toBe(0)
  expect([...seen.values()].every((count) => count === 1)).toBe(true)
  const counts = JSON.parse((await stop(running)).trim().split('\n').at(-1) ?? '') as Record<string, number>
  expect(counts).toMatchObject({ received: 1000, echoed: 1000, truncated: 0, failed: 0 })
  // 13 for each burst, or some more if the system delivers datagrams late.
  expect(counts['batches']).toBeGreaterThanOrEqual(5 * 13)
  expect(counts['batches']).toBeLessThan(500)
})

test('clients receive their own datagrams, also empty ones, but not those that are too long', async () => {
  const running = example('udp-echo', '--size', '100', '--batch', '4')
  const port = await portOf(running)
  const clients = await Promise.all([client(), client(), client()])
  const received = clients.map(() => [] as string[])
  clients.forEach((far, index) => far.on('message', (bytes) => received[index]?.push(String(bytes))))
  for (const [index, far] of clients.entries()) {
    for (const text of [`first ${index}`, 'x'.repeat(101), '', 'x'.repeat(100), `last ${index}`]) {
      far.send(text, port, LOOPBACK)
    }
  }
  await until(() => received.every((texts) => texts.length === 4))
  received.forEach((texts, index) => {
    expect(texts).toEqual([`first ${index}`, '', 'x'.repeat(100), `last ${index}`])
  })
  const out = await stop(running, 'SIGINT')
  expect(JSON.parse(out.trim().split('\n').at(-1) ?? '')).toMatchObject({
    received: 15,
    echoed: 12,
    truncated: 3,
    failed: 0,
  })
})

test('a datagram that cannot be sent back does not delay the others', async () => {
  const fd = socket.bindDatagram({ host: LOOPBACK, port: 0 })
  onTestFinished(() => socket.close(fd))
  const { port } = socket.address(fd) as InternetAddress
  const batch = new DatagramBatch({ slots: 4 })
  const echo = new Echo(fd, batch)
  const far = await client()
  const received: string[] = []
  far.on('message', (bytes) => received.push(String(bytes)))
  const to = { host: LOOPBACK, port: far.address().port }
  batch.add(Buffer.from('one'), to)
  // No datagram can be sent to port 0.
  batch.add(Buffer.from('two'), { host: LOOPBACK, port: 0 })
  batch.add(Buffer.from('three'), to)
  expect(echo.step()).toBe(true)
  await until(() => received.length === 2)
  expect(received).toEqual(['one', 'three'])
  expect(echo.counts).toMatchObject({ echoed: 2, failed: 1, received: 0 })
  far.send('four', port, LOOPBACK)
  await until(() => echo.step() && received.length === 3)
  expect(echo.counts).toMatchObject({ echoed: 3, failed: 1, received: 1, batches: 1 })
})
