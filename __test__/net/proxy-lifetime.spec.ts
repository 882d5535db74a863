/** Proxies, and the ends of the processes and workers in which they run. */

import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

import { expect, onTestFinished, test } from 'vitest'

import { proxy } from '../../net.js'
import { collectUntil } from '../support/garbage.js'
import {
  anyPort,
  closedPort,
  dial,
  dialToReset,
  drain,
  LOOPBACK,
  openDescriptors,
  readToReset,
  serve,
  until,
} from './support.js'

const program = fileURLToPath(new URL('../fixtures/proxy.mjs', import.meta.url))

async function child(
  how: string,
): Promise<{ process: ChildProcess; port: number; ended: Promise<unknown[]> }> {
  const upstream = await serve((peer) => peer.pipe(peer))
  const process = fork(program, [String(upstream), how], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  onTestFinished(() => void process.kill('SIGKILL'))
  const ended = once(process, 'exit')
  const [port] = (await once(process, 'message')) as [number]
  return { process, port, ended }
}

async function echoes(port: number): Promise<string> {
  const client = await dial(port)
  client.end('hello')
  return String(await drain(client))
}

test.each([
  ['a running proxy', 'stays'],
  ['a proxy after unref() and ref()', 'ref'],
])('%s keeps the process alive', async (_what, how) => {
  const { process, port, ended } = await child(how)
  expect(await echoes(port)).toBe('hello')
  process.disconnect()
  expect(await echoes(port)).toBe('hello')
  expect(process.exitCode).toBeNull()
  process.kill('SIGTERM')
  expect(await ended).toEqual([null, 'SIGTERM'])
})

test('after unref() a proxy does not keep the process alive', async () => {
  const { process, ended } = await child('unref')
  process.disconnect()
  expect(await ended).toEqual([0, null])
})

test('after close() a proxy does not keep the process alive', async () => {
  const { process, ended } = await child('close')
  process.send('now')
  expect(await ended).toEqual([0, null])
})

test('a proxy that cannot listen does not keep the process alive', async () => {
  const { process, ended } = await child('refused')
  process.disconnect()
  expect(await ended).toEqual([0, null])
})

test('process.exit() and an uncaught error end the process with open connections', async () => {
  for (const [how, code] of [
    ['exit', 7],
    ['throw', 1],
  ] as const) {
    const { process, port, ended } = await child(how)
    const client = await dial(port)
    client.write('x')
    await once(client, 'data')
    process.send('now')
    expect(await ended).toEqual([code, null])
    await expect(dial(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  }
})

test('exceptions of onProblem are uncaught, and the problems after them are reported', async () => {
  const { process, port, ended } = await child('problems')
  const caught: unknown[] = []
  process.on('message', (message) => caught.push(message))
  while (caught.length < 2) await dialToReset(port)
  expect(caught.slice(0, 2)).toEqual(['connectFailed 1', 'upstreamDown 2'])
  process.send('now')
  expect(await ended).toEqual([0, null])
})

test('a proxy forwards while JavaScript is blocked', async () => {
  const { port } = await child('busy')
  for (let round = 0; round < 5; round++) expect(await echoes(port)).toBe('hello')
})

test('the end of a worker closes the threads and descriptors of its proxy', async () => {
  const upstream = await serve((peer) => peer.pipe(peer))
  const start = async (): Promise<{ worker: Worker; port: number }> => {
    const worker = new Worker(program, { workerData: [String(upstream), 'stays'] })
    const [port] = (await once(worker, 'message')) as [number]
    return { worker, port }
  }
  // The first worker opens descriptors that stay open.
  await (await start()).worker.terminate()
  const before = openDescriptors()
  for (let round = 0; round < 3; round++) {
    const { worker, port } = await start()
    expect(await echoes(port)).toBe('hello')
    const client = await dial(port)
    const everything = readToReset(client)
    client.write('x')
    await once(client, 'data')
    await worker.terminate()
    expect(String(await everything)).toBe('x')
    await expect(dial(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    client.destroy()
  }
  await until(() => openDescriptors() <= before, 'the descriptors are closed')
})

async function endedProxy(): Promise<WeakRef<object>> {
  const upstream = { host: LOOPBACK, port: closedPort() }
  const made = await proxy({ listen: anyPort, upstream, threads: 1 })
  await made.close()
  return new WeakRef(made)
}

test('a proxy that has ended is collected', async () => {
  const ended = [await endedProxy(), await endedProxy(), await endedProxy()]
  expect(await collectUntil(() => ended.every((reference) => reference.deref() === undefined))).toBe(true)
})
