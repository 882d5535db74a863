import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { casesOf, nameOf, parseCase, randomCase, shuffled } from '../../scripts/lib/faults/cases.js'
import { outcomesOf, PLAUSIBLE } from '../../scripts/lib/faults/plausible.js'
import { PROGRAMS, type Program } from '../../scripts/lib/faults/programs.js'
import type { Traffic } from '../../scripts/lib/faults/traffic.js'
import { runTrial, type Phase, type Usage, type Verdict } from '../../scripts/lib/faults/trial.js'
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

/** Runs a program, whose source is given, that prints `ready`: without a fault, or with one in a phase. */
async function verdictOn(source: string, phase?: Phase, traffic: Partial<Traffic> = {}): Promise<Verdict> {
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
  return runTrial(lane, subject, 'default', phase && { phase, fault, usual: usage })
}

/** The problems of a program with a fault at its start. */
async function problemsOf(source: string, traffic: Partial<Traffic> = {}): Promise<string> {
  return (await verdictOn(source, 'start', traffic)).problems.join('\n')
}

const READY = `console.log('ready'); process.stdin.once('data', () => process.exit());`

/** How many connections the first round of a run may break; the round afterwards may break none. */
async function allowed(phase?: Phase): Promise<number | undefined> {
  const most: number[] = []
  const round: Traffic['round'] = async (_subject, _ready, bound) => {
    most.push(bound)
    return []
  }
  await verdictOn(READY, phase, { round })
  expect(most[1]).toBe(0)
  return most[0]
}

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

  test('what a round finds is a problem, and a connection afterwards that is still not served if that stays', async () => {
    let rounds = 0
    const round: Traffic['round'] = async (_subject, _ready, most) => {
      rounds += 1
      if (most > 0) return [{ text: 'wrong bytes', isUnserved: false }]
      return rounds < 4 ? [{ text: 'still down', isUnserved: true }] : []
    }
    const problems = await problemsOf(READY, { round })
    expect(problems).toContain('wrong bytes')
    expect(problems).not.toContain('still down')
    expect(rounds).toBe(4)
  })

  test('any other failure afterwards is a problem, also if a later round has none', async () => {
    let rounds = 0
    const round: Traffic['round'] = async () => {
      rounds += 1
      return rounds === 2 ? [{ text: 'wrong bytes', isUnserved: false }] : []
    }
    expect(await problemsOf(READY, { round })).toContain('afterwards: wrong bytes')
    expect(rounds).toBe(2)
  })

  test('only a fault may break connections, and one failure of one call only one', async () => {
    expect(await Promise.all([allowed(), allowed('start'), allowed('run'), allowed('end')])).toEqual([
      0,
      Infinity,
      1,
      0,
    ])
  })

  test('a descriptor that is open when the program is ready, and is closed then, is none that it usually closes', async () => {
    const closes = `import { closeSync, openSync } from 'node:fs'
      const fd = openSync('/dev/null'); setTimeout(() => closeSync(fd), 100)`
    expect((await verdictOn(`${closes}; ${READY}`)).usage.kept).toBe(0)
  })
})
