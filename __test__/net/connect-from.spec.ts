import { describe, expect, test } from 'vitest'

import { connect, listen, socket } from '../../net.js'
import {
  anyPort,
  baseOn,
  LOOPBACK,
  openDescriptors,
  portOf,
  running,
  silence,
  thrown,
  until,
} from './support.js'

describe('a connect', () => {
  test('uses the local address that it is given', async () => {
    const base = await running()
    const peers: unknown[] = []
    const listener = listen(base, anyPort, (fd, peer) => {
      peers.push(peer)
      socket.close(fd)
    })
    const fd = await connect(base, listener.address, { localAddress: '127.0.0.42' })
    const raw = socket.connect(listener.address, { localAddress: '127.0.0.43' })
    await until(() => peers.length === 2, 'both connections')
    expect(peers).toEqual([socket.address(fd), socket.address(raw)])
    expect(peers).toMatchObject([{ host: '127.0.0.42' }, { host: '127.0.0.43' }])
    for (const each of [fd, raw]) socket.close(each)
    // The listener uses this address and port.
    const own = { localAddress: LOOPBACK, localPort: listener.address.port }
    await expect(connect(base, listener.address, own)).rejects.toMatchObject({
      code: 'EADDRINUSE',
      syscall: 'bind',
    })
    await expect(connect(base, listener.address, { localAddress: '198.51.100.1' })).rejects.toMatchObject({
      code: 'EADDRNOTAVAIL',
      syscall: 'bind',
    })
    await expect(connect(base, { path: '/nonexistent' }, { localPort: 5 })).rejects.toMatchObject({
      code: 'EAFNOSUPPORT',
      syscall: 'bind',
    })
  })

  test('to a path refuses each option of an internet address', () => {
    const target = { path: '/nonexistent' }
    for (const [options, code] of [
      [{ freeBind: true }, 'EOPNOTSUPP'],
      [{ transparent: true }, 'EOPNOTSUPP'],
      [{ localPort: 5 }, 'EAFNOSUPPORT'],
      [{ localAddress: LOOPBACK }, 'EAFNOSUPPORT'],
      [{ freeBind: false, transparent: false, localPort: 0 }, 'ENOENT'],
    ] as const) {
      expect(thrown(() => socket.connect(target, options))).toMatchObject({ code })
    }
  })

  test('to an unreachable network fails with ENETUNREACH', async () => {
    const base = await running()
    const before = openDescriptors()
    // There are no TCP connections to a broadcast address.
    await expect(connect(base, { host: '255.255.255.255', port: 1 })).rejects.toMatchObject({
      code: 'ENETUNREACH',
      syscall: 'connect',
      address: '255.255.255.255',
      port: 1,
    })
    expect(openDescriptors()).toBe(before)
  })

  test('to a listener that closes during the connect is refused', async () => {
    const base = await running()
    const listening = socket.listen({ host: '127.0.0.77', port: 0, backlog: 0 })
    const port = portOf(socket.address(listening))
    await silence('127.0.0.77', port)
    const attempt = connect(base, { host: '127.0.0.77', port })
    socket.close(listening)
    // The kernel sends the SYN again after a second: RFC 6298, section 2.
    await expect(attempt).rejects.toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect' })
  })

  test('that is reset before the loop polls fails with ECONNRESET', async () => {
    const base = baseOn()
    const listening = socket.listen(anyPort)
    const before = openDescriptors()
    const attempt = connect(base, { host: LOOPBACK, port: portOf(socket.address(listening)) })
    let fd = -1
    await until(() => (fd = socket.accept(listening)) !== -1, 'the connection')
    // A close with a linger time of 0 sends a reset.
    socket.setOption(fd, 'linger', 0)
    socket.close(fd)
    base.dispatch()
    await expect(attempt).rejects.toMatchObject({ code: 'ECONNRESET', syscall: 'connect' })
    expect(openDescriptors()).toBe(before)
    socket.close(listening)
  })
})
