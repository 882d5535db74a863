import type { constants } from 'node:os'

import { expectTypeOf, it } from 'vitest'

import {
  BaseFlag,
  CountFlag,
  EV,
  EventBase,
  EventConfig,
  EventError,
  Feature,
  LoopFlag,
  LoopResult,
  type CheckCallback,
  type CommonTimeout,
  type Event,
  type EventCallback,
  type EventErrorCode,
  type EventOptions,
  type EventRecord,
  type Method,
  type PrepareCallback,
  type RemoteBase,
  type SharedBase,
  type Signal,
  type SignalMethod,
  type SystemError,
  type Watcher,
} from '../../index.js'

declare const base: EventBase
declare const event: Event

it('constants have literal types', () => {
  expectTypeOf(EV.READ).toEqualTypeOf<0x02>()
  expectTypeOf(EV.CLOSED).toEqualTypeOf<0x80>()
  expectTypeOf(Feature.EARLY_CLOSE).toEqualTypeOf<0x08>()
  expectTypeOf(BaseFlag.NOLOCK).toEqualTypeOf<0x01>()
  expectTypeOf(LoopFlag.NO_EXIT_ON_EMPTY).toEqualTypeOf<0x04>()
  expectTypeOf(CountFlag.ADDED).toEqualTypeOf<4>()
  expectTypeOf(LoopResult).toEqualTypeOf<{ readonly STOPPED: 0; readonly EMPTY: 1 }>()
})

it('constants cannot be assigned', () => {
  // @ts-expect-error they are read-only
  EV.READ = 4
  // @ts-expect-error there is no such constant
  void EV.NOTHING
})

it('a result is one of two numbers', () => {
  expectTypeOf<LoopResult>().toEqualTypeOf<0 | 1>()
  expectTypeOf(base.loop()).toEqualTypeOf<LoopResult>()
  expectTypeOf(base.dispatch()).toEqualTypeOf<LoopResult>()
  expectTypeOf(base.run()).toEqualTypeOf<Promise<LoopResult>>()
})

it('a method is one of the known names', () => {
  expectTypeOf<Method>().toEqualTypeOf<'epoll' | 'epoll (with changelist)' | 'kqueue' | 'poll' | 'select'>()
  expectTypeOf(base.method).toEqualTypeOf<Method>()
  expectTypeOf(EventBase.supportedMethods()).toEqualTypeOf<Method[]>()
})

it('a signal is a name or a number', () => {
  expectTypeOf<Signal>().toEqualTypeOf<keyof typeof constants.signals | number>()
  expectTypeOf<NodeJS.Signals>().toExtend<Signal>()
  expectTypeOf<SignalMethod>().toEqualTypeOf<'signal' | 'signalfd_signal' | 'kqueue_signal'>()
  expectTypeOf(base.signalMethod).toEqualTypeOf<SignalMethod>()
  expectTypeOf(base.newSignal('SIGHUP', () => {}, { persist: false, priority: 0 })).toEqualTypeOf<Event>()
  expectTypeOf(base.activateBySignal(1).activateBySignal('SIGHUP')).toEqualTypeOf<EventBase>()
  // @ts-expect-error it is no signal's name
  base.newSignal('HUP', () => {})
  // @ts-expect-error nor is a misspelled name
  base.newSignal('SIGTREM', () => {})
  // @ts-expect-error nor is it here
  base.activateBySignal('SIGTREM')
  // @ts-expect-error read-only
  base.signalMethod = 'signal'
})

it('a common timeout is accepted in place of a number, and no plain object is', () => {
  const common = base.commonTimeout(5)
  expectTypeOf(common).toEqualTypeOf<CommonTimeout>()
  expectTypeOf(common.ms).toEqualTypeOf<number>()
  event.add(common)
  // @ts-expect-error it is read-only
  common.ms = 6
  // @ts-expect-error it has a private part
  event.add({ ms: 5 })
})

it('a prepare callback receives the wait and its watcher, a check callback its watcher', () => {
  expectTypeOf<PrepareCallback>().parameters.toEqualTypeOf<[number | undefined, Watcher]>()
  expectTypeOf<CheckCallback>().parameters.toEqualTypeOf<[Watcher]>()
  expectTypeOf(base.onPrepare(() => {})).toEqualTypeOf<Watcher>()
  expectTypeOf(base.onCheck((watcher) => watcher.close())).toEqualTypeOf<Watcher>()
  expectTypeOf<Watcher>().toExtend<Disposable>()
})

it('a callback receives a descriptor, bits and the event', () => {
  expectTypeOf<EventCallback>().parameters.toEqualTypeOf<[number, number, Event]>()
  base.newEvent(0, EV.READ, (fd, what, self) => {
    expectTypeOf(fd).toEqualTypeOf<number>()
    expectTypeOf(what).toEqualTypeOf<number>()
    expectTypeOf(self).toEqualTypeOf<Event>()
  })
  base.newTimer(() => {}, { persist: true, priority: 1 })
  base.once(-1, EV.TIMEOUT, (_fd, _what, self) => expectTypeOf(self).toEqualTypeOf<Event>(), 5)
  // @ts-expect-error an asynchronous iterable is no callback
  base.newTimer(base.watch(0, EV.READ))
  // @ts-expect-error there is no such option
  base.newTimer(() => {}, { repeat: true })
})

it('options may be missing, but not undefined', () => {
  expectTypeOf<EventOptions>().toEqualTypeOf<{ priority?: number; persist?: boolean }>()
  // @ts-expect-error undefined is not a priority
  base.newTimer(() => {}, { priority: undefined })
})

it('methods that change an object return the object', () => {
  expectTypeOf(event.add(1)).toEqualTypeOf<Event>()
  expectTypeOf(event.del().removeTimer().activate(EV.READ)).toEqualTypeOf<Event>()
  expectTypeOf(base.loopExit(1).loopBreak().loopContinue().ref().unref()).toEqualTypeOf<EventBase>()
  expectTypeOf(new EventConfig().avoidMethod('x').setFlags(1).setPriorities(1)).toEqualTypeOf<EventConfig>()
  expectTypeOf(new EventConfig().build()).toEqualTypeOf<EventBase>()
})

it('events are made by a base, and their properties are read-only', () => {
  expectTypeOf(event.fd).toEqualTypeOf<number>()
  expectTypeOf(event.expiresAt).toEqualTypeOf<number | undefined>()
  expectTypeOf(event.signal).toEqualTypeOf<number | undefined>()
  expectTypeOf(event.base).toEqualTypeOf<EventBase>()
  expectTypeOf(base.events()).toEqualTypeOf<EventRecord[]>()
  expectTypeOf(base.runningEvent).toEqualTypeOf<Event | undefined>()
  // @ts-expect-error read-only
  event.fd = 3
  event.priority = 1
})

it('waiting promises numbers', () => {
  expectTypeOf(base.wait(0, EV.READ, { timeout: 1 })).toEqualTypeOf<Promise<number>>()
  expectTypeOf(base.watch(0, EV.READ)).toExtend<AsyncIterable<number>>()
})

it('errors have their code', () => {
  expectTypeOf(new EventError('ERR_EVENT_CLOSED', '').code).toEqualTypeOf<EventErrorCode>()
  expectTypeOf<EventErrorCode>().toEqualTypeOf<
    | 'ERR_EVENT_NO_METHOD'
    | 'ERR_EVENT_CLOSED'
    | 'ERR_EVENT_REENTRANT'
    | 'ERR_EVENT_BAD_FLAGS'
    | 'ERR_EVENT_FINALIZING'
    | 'ERR_EVENT_ACTIVE'
    | 'ERR_EVENT_WRONG_THREAD'
    | 'ERR_EVENT_BLOCKING'
    | 'ERR_EVENT_INTERNAL'
    | 'ERR_EVENT_FORKED'
    | 'ERR_OUT_OF_RANGE'
    | 'ERR_INVALID_ARG_TYPE'
  >()
  expectTypeOf<SystemError['errno']>().toEqualTypeOf<number>()
  expectTypeOf<SystemError>().toExtend<Error>()
})

it('bases and events are disposable', () => {
  expectTypeOf<EventBase>().toExtend<Disposable>()
  expectTypeOf<Event>().toExtend<Disposable>()
})

it('a base is shared by a token, and reached through a remote base', () => {
  expectTypeOf(base.share()).toEqualTypeOf<SharedBase>()
  const remote = EventBase.connect(base.share())
  expectTypeOf(remote).toEqualTypeOf<RemoteBase>()
  expectTypeOf(remote.activate(event.id, EV.READ).add(event.id, 1).del(event.id)).toEqualTypeOf<RemoteBase>()
  expectTypeOf(remote.loopExit(1).loopBreak()).toEqualTypeOf<RemoteBase>()
  expectTypeOf(remote.close()).toEqualTypeOf<void>()
  expectTypeOf(base.reinit()).toEqualTypeOf<EventBase>()
  // @ts-expect-error a base is not its token
  EventBase.connect(base)
  // @ts-expect-error events are named by numbers
  remote.activate(event)
})
