import type { Duplex } from 'node:stream'

import { expectTypeOf, it } from 'vitest'

import { EV, type EventBase } from '../../index.js'
import {
  BEV,
  BufferEvent,
  type BufferEventDuplex,
  BufferEventGroup,
  type ByteQueue,
  type BufferEventOptions,
  type DirectionLimit,
} from '../../net.js'

declare const base: EventBase
declare const stream: BufferEvent

it('setters return the stream, getters their values', () => {
  expectTypeOf(stream.enable(EV.READ).disable(EV.WRITE).write('x').end()).toEqualTypeOf<BufferEvent>()
  expectTypeOf(stream.setWatermarks({ readLow: 1 }).setTimeouts({}).setCaps({})).toEqualTypeOf<BufferEvent>()
  expectTypeOf(stream.setLimit({ rate: 1 }).joinGroup(undefined)).toEqualTypeOf<BufferEvent>()
  expectTypeOf(stream.read()).toEqualTypeOf<Buffer | undefined>()
  expectTypeOf(stream.flush(EV.WRITE, 'finished')).toEqualTypeOf<boolean>()
  expectTypeOf(stream.setFd(3)).toEqualTypeOf<number>()
  expectTypeOf(stream.input).toEqualTypeOf<ByteQueue>()
  expectTypeOf(stream.error).toEqualTypeOf<Error | undefined>()
  expectTypeOf<BufferEvent>().toExtend<Disposable>()
  // @ts-expect-error read-only
  stream.fd = 3
  // @ts-expect-error numbers are not bytes
  stream.write(3)
  // @ts-expect-error no such mode
  stream.flush(EV.WRITE, 'all')
})

it('callbacks get the stream', () => {
  const options: BufferEventOptions = {
    onRead: (self) => expectTypeOf(self).toEqualTypeOf<BufferEvent>(),
    onEvent: (what, self, error) => {
      expectTypeOf(what).toEqualTypeOf<number>()
      expectTypeOf(self).toEqualTypeOf<BufferEvent>()
      expectTypeOf(error).toEqualTypeOf<Error | undefined>()
    },
  }
  expectTypeOf(new BufferEvent(base, -1, options)).toEqualTypeOf<BufferEvent>()
  // @ts-expect-error no such option
  void new BufferEvent(base, -1, { onReed: () => {} })
})

it('a stream can be made in several ways', () => {
  expectTypeOf(BufferEvent.pair(base)).toEqualTypeOf<[BufferEvent, BufferEvent]>()
  expectTypeOf(BufferEvent.connect(base, { path: '/x' }, { timeout: 1, readLow: 2 })).toEqualTypeOf<
    Promise<BufferEvent>
  >()
  expectTypeOf(stream.toDuplex({ allowHalfOpen: false })).toEqualTypeOf<BufferEventDuplex>()
  expectTypeOf<BufferEventDuplex>().toExtend<Duplex>()
})

it('limits are one rate, or one for each direction', () => {
  expectTypeOf<{ rate: number }>().toExtend<DirectionLimit>()
  expectTypeOf<{ read: { rate: number; burst: number } }>().toExtend<DirectionLimit>()
  expectTypeOf(new BufferEventGroup(base, { rate: 1 }).left(EV.READ)).toEqualTypeOf<number | undefined>()
})

it('bits have literal types', () => {
  expectTypeOf(BEV.CONNECTED).toEqualTypeOf<0x80>()
})
