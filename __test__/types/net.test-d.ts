import { expectTypeOf, it } from 'vitest'

import type { EventBase } from '../../index.js'
import {
  listen,
  proxy,
  type InternetAddress,
  type ProxyOptions,
  type SocketAddress,
  type TcpProxy,
  type UnixPath,
} from '../../net.js'

declare const base: EventBase

const upstream = { host: '127.0.0.1', port: 9000 }

it('the address of a listener and of a proxy has the kind of what it listens on', () => {
  const internet = { host: '127.0.0.1', port: 0, reusePort: true }
  expectTypeOf(listen(base, internet, () => {}).address).toEqualTypeOf<InternetAddress>()
  expectTypeOf(proxy({ listen: internet, upstream })).toEqualTypeOf<Promise<TcpProxy<InternetAddress>>>()
  expectTypeOf<TcpProxy<InternetAddress>['address']>().toEqualTypeOf<InternetAddress>()
  const unix = { path: '/run/app.sock', batch: 1 }
  expectTypeOf(listen(base, unix, () => {}).address).toEqualTypeOf<UnixPath>()
  expectTypeOf(proxy({ listen: unix, upstream, threads: 1 })).toEqualTypeOf<Promise<TcpProxy<UnixPath>>>()
})

it('the address of an inherited socket, and of options of an unknown kind, has either kind', () => {
  expectTypeOf(listen(base, { fd: 3 }, () => {}).address).toEqualTypeOf<SocketAddress>()
  expectTypeOf(proxy({ listen: { fd: 3 }, upstream })).toEqualTypeOf<Promise<TcpProxy>>()
  expectTypeOf(proxy({} as ProxyOptions)).toEqualTypeOf<Promise<TcpProxy>>()
  expectTypeOf<TcpProxy['address']>().toEqualTypeOf<SocketAddress>()
})

it('a typed proxy is a proxy', () => {
  expectTypeOf<TcpProxy<UnixPath>>().toExtend<TcpProxy>()
  expectTypeOf<TcpProxy<InternetAddress>>().toExtend<TcpProxy>()
})
