/** Proxies and the processes and workers they run in. */

import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

import { expect, onTestFinished, test } from 'vitest'

import { dial, drain, openDescriptors, serve, until } from './support.js'

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

test('a running proxy keeps the process alive, until it is closed by its end', async () => {
  const { process, port, ended } = await child('stays')
  expect(await echoes(port)).toBe('hello')
  process.disconnect()
  expect(await echoes(port)).toBe('hello')
  expect(process.exitCode).toBeNull()
  process.kill('SIGTERM')
  expect(await ended).toEqual([null, 'SIGTERM'])
})

test('one that is not referred to does not', async () => {
  const { process, ended } = await child('unref')
  process.disconnect()
  expect(await ended).toEqual([0, null])
})

test('process.exit() and an uncaught error end it with connections under way', async () => {
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

test('it forwards while JavaScript does nothing', async () => {
  const { port } = await child('busy')
  for (let round = 0; round < 5; round++) expect(await echoes(port)).toBe('hello')
})

test('a worker that is terminated takes its proxy along, threads and descriptors', async () => {
  const upstream = await serve((peer) => peer.pipe(peer))
  const start = async (): Promise<{ worker: Worker; port: number }> => {
    const worker = new Worker(program, { workerData: [String(upstream), 'stays'] })
    const [port] = (await once(worker, 'message')) as [number]
    return { worker, port }
  }
  // The first one loads what stays open.
  await (await start()).worker.terminate()
  const before = openDescriptors()
  for (let round = 0; round < 3; round++) {
    const { worker, port } = await start()
    expect(await echoes(port)).toBe('hello')
    const client = await dial(port)
    const everything = drain(client)
    client.write('x')
    await once(client, 'data')
    await worker.terminate()
    expect(String(await everything)).toBe('x')
    await expect(dial(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    client.destroy()
  }
  await until(() => openDescriptors() <= before, 'the descriptors are closed')
})
