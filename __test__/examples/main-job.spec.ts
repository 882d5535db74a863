import { expect, test } from 'vitest'

import { EventBase } from '../../index.js'
import { Running } from '../cli/support.js'
import { dial, drain, serve } from '../net/support.js'

async function portOf(running: Running): Promise<number> {
  const [, port] = await running.waitForOutput(/listening at (?:[\d.]+:)?(\d+)/)
  return Number(port)
}

test('main-job.ts with arguments runs the command', async () => {
  const upstream = await serve((peer) => peer.pipe(peer))
  const target = ['--listen', '127.0.0.1:0', '--upstream', `127.0.0.1:${upstream}`]
  const running = new Running('examples/main-job.ts', target)
  const client = await dial(await portOf(running))
  client.end('hello')
  expect(String(await drain(client))).toBe('hello')
  running.process.kill('SIGTERM')
  expect(await running.ended).toMatchObject({ code: 0, err: '' })
})

test('main-job.ts rejects an unknown option', async () => {
  const { code, err } = await new Running('examples/main-job.ts', ['--bogus']).ended
  expect(code).toBe(2)
  expect(err).toContain('--bogus')
})

test('main-job.ts verifies its traffic and prints a table', { timeout: 400_000 }, async () => {
  const { code, out, err } = await new Running('examples/main-job.ts', []).ended
  expect([code, err]).toEqual([0, ''])
  expect(out).toMatch(/^way +connections +bytes +Gbit\/s +round trip p50 +p99$/m)
  const measured = [...out.matchAll(/^(.*?) +\d{3,} +\d{10,} +\d+\.\d\d +\d+ µs +\d+ µs$/gm)]
  expect(measured.map(([, way]) => way)).toEqual([
    '(no proxy)',
    'proxy(), 1 thread',
    ...EventBase.supportedMethods().map((method) => `relay(), ${method}`),
  ])
  expect(out).toContain('every byte arrived as it was sent')
})
