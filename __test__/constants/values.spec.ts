import { describe, expect, it } from 'vitest'

import { BaseFlag, CountFlag, EV, Feature, LoopFlag, LoopResult } from '../../index.js'

/** As in libevent's event.h. */
const libevent = {
  EV: {
    TIMEOUT: 0x01,
    READ: 0x02,
    WRITE: 0x04,
    SIGNAL: 0x08,
    PERSIST: 0x10,
    ET: 0x20,
    FINALIZE: 0x40,
    CLOSED: 0x80,
  },
  Feature: { ET: 0x01, O1: 0x02, FDS: 0x04, EARLY_CLOSE: 0x08 },
  BaseFlag: {
    NOLOCK: 0x01,
    IGNORE_ENV: 0x02,
    STARTUP_IOCP: 0x04,
    NO_CACHE_TIME: 0x08,
    EPOLL_USE_CHANGELIST: 0x10,
    PRECISE_TIMER: 0x20,
    EPOLL_DISALLOW_TIMERFD: 0x40,
    USE_SIGNALFD: 0x80,
  },
  LoopFlag: { ONCE: 0x01, NONBLOCK: 0x02, NO_EXIT_ON_EMPTY: 0x04 },
  LoopResult: { STOPPED: 0, EMPTY: 1 },
  CountFlag: { ACTIVE: 1, VIRTUAL: 2, ADDED: 4 },
}

describe('the constants', () => {
  it("have libevent's names and values", () => {
    expect({ EV, Feature, BaseFlag, LoopFlag, LoopResult, CountFlag }).toEqual(libevent)
  })

  it('cannot be changed', () => {
    for (const constants of [EV, Feature, BaseFlag, LoopFlag, LoopResult, CountFlag]) {
      expect(Object.isFrozen(constants)).toBe(true)
    }
  })
})
