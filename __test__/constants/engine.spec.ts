import { readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import { BaseFlag, CountFlag, EV, Feature, LoopFlag } from '../../index.js'

const source = readFileSync(new URL('../../crates/event-base/src/flags.rs', import.meta.url), 'utf8')

/** The constants of one set of flags in the engine's source. */
function engineFlags(name: string): Record<string, number> {
  const body = new RegExp(`struct ${name}: u8 \\{([^}]*)\\}`).exec(source)?.[1] ?? ''
  const constants = body.matchAll(/const (\w+) = (0x[0-9a-f]+|\d+);/g)
  return Object.fromEntries([...constants].map(([, key, value]) => [key, Number(value)]))
}

describe('the engine', () => {
  it.each([
    ['What', EV],
    ['Features', Feature],
    ['BaseFlags', BaseFlag],
    ['LoopFlags', LoopFlag],
    ['CountFlags', CountFlag],
  ] as const)('has the same %s', (name, constants) => {
    expect(engineFlags(name)).toEqual({ ...constants })
  })
})
