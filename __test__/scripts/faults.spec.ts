import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { casesOf, nameOf, parseCase, randomCase, shuffled } from '../../scripts/lib/faults/cases.js'
import { outcomesOf, PLAUSIBLE } from '../../scripts/lib/faults/plausible.js'
import { PROGRAMS, type Program } from '../../scripts/lib/faults/programs.js'
import type { Traffic } from '../../scripts/lib/faults/traffic.js'
import { runTrial, type Usage } from '../../scripts/lib/faults/trial.js'
import { folder } from '../net/support.js'
import { random } from '../proxy/fire/plan.js'

const [program = PROGRAMS[0] as Program] = PROGRAMS
const usage: Usage = {
  counts: {
    start: new Map(),
    run: new Map([
      ['accept4', 3],
      ['unlink', 0],
      ['unlisted', 9],
    ]),
    end: new Map(),
  },
  kept: 0,
}

/** The names of the cases in the order that a seed determines. */
function order(seed: number): string[] {
  return shuffled(
    casesOf(program, usage, () => true),
    random(seed),
  ).map(nameOf)
}

function randomCases(seed: number): (string | undefined)[] {
  const below = random(seed)
  return Array.from({ length: 20 }, () => {
    const one = randomCase(program, 'poll', usage, below, () => true)
    return one && nameOf(one)
  })
}

describe('the cases', () => {
  test('each call of the table has a fault that this system knows', () => {
    for (const call of Object.keys(PLAUSIBLE)) expect(outcomesOf(call).length, call).toBeGreaterThan(0)
    expect(outcomesOf('accept4').find(({ name }) => name === 'EMFILE')).toEqual({
      kind: 'fail',
      name: 'EMFILE',
      value: 24,
    })
  })

  test('a call fails in each way at the positions that the program reaches', () => {
    const cases = casesOf(program, usage, () => true)
    expect(new Set(cases.map(({ fault }) => fault.call))).toEqual(new Set(['accept4']))
    expect(new Set(cases.map(({ fault }) => fault.nth))).toEqual(new Set([1, 2]))
    expect(cases).toHaveLength(2 * outcomesOf('accept4').length)
    expect(casesOf(program, usage, (call) => call === 'close')).toEqual([])
  })

  test('the name of a case selects it', () => {
    for (const one of casesOf(program, usage, () => true)) expect(parseCase(nameOf(one))).toEqual(one)
    for (const name of ['', 'loop:default:run:accept4:EPERM:0:1', 'loop:default:run:accept4:ENOENT:1:1']) {
      expect(() => parseCase(name)).toThrow('is not the name of a case')
    }
  })

  test('the seed determines the order and the random cases', () => {
    expect(order(1)).toEqual(order(1))
    expect(order(1)).not.toEqual(order(2))
    expect(order(1).toSorted()).toEqual(order(2).toSorted())
    expect(randomCases(1)).toEqual(randomCases(1))
    expect(randomCases(1)).not.toEqual(randomCases(2))
  })
})

/** The problems of a program, whose source is given, that prints `ready`. */
async function problemsOf(source: string, traffic: Partial<Traffic> = {}): Promise<string> {
  const subject: Program = {
    ...program,
    args: () => ['--input-type=module', '--eval', source],
    ready: /ready/,
    endLine: 'end',
  }
  const silent: Traffic = { port: 0, round: async () => [], close: () => {}, ...traffic }
  const lane = {
    library: '',
    path: join(folder(), 'control'),
    traffics: new Map([[subject.name, silent]]),
    closed: 1,
  }
  const outcome = outcomesOf('accept4')[1]
  if (outcome === undefined) throw new Error('the table lacks it')
  const fault = { call: 'accept4', outcome, nth: 1, times: 1 }
  const { problems } = await runTrial(lane, subject, 'default', { phase: 'start', fault, usual: usage })
  return problems.join('\n')
}

const READY = `console.log('ready'); process.stdin.once('data', () => process.exit());`

describe('the verdict', () => {
  test('a program without the library is noticed', async () => {
    expect(await problemsOf(READY)).toMatch(/^the library has replaced no call\nstandard error: $/)
  })

  test('a program that spins is noticed', async () => {
    const source = `${READY} const spin = () => setImmediate(spin); spin()`
    expect(await problemsOf(source)).toContain('it uses CPU time although it has nothing to do')
  })

  test('an exit code, a signal and the text of a panic are noticed', async () => {
    expect(await problemsOf(READY.replace('exit()', 'exit(3)'))).toContain('it ends with exit code 3')
    expect(await problemsOf(READY.replace('exit()', 'abort()'))).toContain('it ends with SIGABRT')
    const source = `${READY} console.error("thread 'main' panicked at a.rs:1:2")`
    expect(await problemsOf(source)).toContain("standard error: thread 'main' panicked")
  })

  test('a program that cannot start has to end with exit code 1 and one line', async () => {
    expect(await problemsOf(`console.error('EMFILE'); process.exit(1)`)).toBe('')
    expect(await problemsOf('process.exit(1)')).toContain('without a line')
    expect(await problemsOf(`console.error('EMFILE'); process.exit(2)`)).toContain('exit code 2')
    expect(await problemsOf(`console.error('one\\ntwo'); process.exit(1)`)).toContain('without a line')
  })

  test('what a round finds is a problem, and a failure of the round afterwards if it stays', async () => {
    let rounds = 0
    const round: Traffic['round'] = async (_subject, _ready, most) => {
      rounds += 1
      if (most > 0) return ['wrong bytes']
      return rounds < 4 ? ['still down'] : []
    }
    const problems = await problemsOf(READY, { round })
    expect(problems).toContain('wrong bytes')
    expect(problems).not.toContain('still down')
    expect(rounds).toBe(4)
  })
})
