/**
 * Sockets, listeners, outgoing connections and relays on an event base.
 *
 * @module event-base/net
 */

export type { HostAndPort, InternetAddress, SocketAddress, Target, UnixPath } from './ts/net/address.js'
export type { BindOptions } from './ts/net/bind.js'
export { BEV } from './ts/net/buffer-event/bits.js'
export type { DirectionLimit } from './ts/net/buffer-event/buckets.js'
export { BufferEvent, type FlushMode } from './ts/net/buffer-event/buffer-event.js'
export { ByteQueue, type Writable } from './ts/net/buffer-event/byte-queue.js'
export type { StreamCallback, StreamEventCallback } from './ts/net/buffer-event/callbacks.js'
export { BufferEventDuplex, type DuplexOptions } from './ts/net/buffer-event/duplex.js'
export { BufferEventGroup } from './ts/net/buffer-event/limits.js'
export type {
  BufferEventCallbacks,
  BufferEventOptions,
  Caps,
  Timeouts,
  Watermarks,
} from './ts/net/buffer-event/options.js'
export type { LineEnd } from './ts/net/buffer-event/search.js'
export { DatagramBatch, type DatagramBatchOptions, type DatagramTarget } from './ts/net/datagram.js'
export {
  proxy,
  type ProxyStats,
  type ProxyTraffic,
  type TcpProxy,
  type UpstreamStats,
} from './ts/net/proxy.js'
export type { HealthOptions, ProxyOptions, Upstream } from './ts/net/proxy-options.js'
export type { ProxyProblem } from './ts/net/proxy-problem.js'
export { connect, type ConnectOptions } from './ts/net/connect.js'
export { inheritedDescriptors, type InheritedDescriptor, type InheritedOptions } from './ts/net/inherited.js'
export type { LocalOptions } from './ts/net/local.js'
export type { FoundAddress, LookupAnswer, LookupFunction } from './ts/net/lookup.js'
export {
  listen,
  type AcceptOptions,
  type ConnectionCallback,
  type InheritedListener,
  type Listener,
  type ListenOptions,
} from './ts/net/listener.js'
export type { CountOption, SocketOption, SwitchOption, TimeOption } from './ts/net/options.js'
export { RateGroup, type RateLimit } from './ts/net/rate-group.js'
export { relay, type Relay, type RelayEnd, type RelayOptions, type RelayStats } from './ts/net/relay.js'
export * as socket from './ts/net/socket.js'
export type { ListenTarget } from './ts/net/socket.js'
