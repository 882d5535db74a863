// What the programs of the soak share: their arguments, and the messages that they exchange with the soak.
import { setImmediate } from 'node:timers/promises'

import type { Target } from '../../net.js'
import type { Terms } from '../../__test__/proxy/fire/plan.js'

export const HOST = '127.0.0.1'

/** Options of relays for each of the terms. */
export const RELAY_TERMS = {
  plain: {},
  limited: { limit: { rate: 4 * 2 ** 20, burst: 32 * 1024 } },
  idle: { idleTimeout: 60 },
} as const

/** Where clients connect to, and how their connections are treated there. */
export interface Entrance {
  readonly target: Target
  readonly terms: Terms
}

/** A fault that a program has on request, which the verdict has to report. */
export type Fault = 'byte' | 'descriptor' | 'memory' | 'spin'

/** What the soak tells a program to do. */
export type Order =
  | { readonly type: 'measure' | 'calm' | 'disturb' }
  | { readonly type: 'plant'; readonly fault: Fault; readonly bytes: number }

/** What a program answers. */
export type Answer =
  | { readonly type: 'ready'; readonly entrances: readonly Entrance[] }
  | { readonly type: 'measured'; readonly heap: number }

/** The port of the upstreams, which is the argument of every program. */
export const upstream = { host: HOST, port: Number(process.argv[2]) }

function send(answer: Answer): void {
  process.send?.(answer)
}

/** Collects garbage, and lets finalizers run. */
export async function collect(): Promise<void> {
  for (let round = 0; round < 4; round += 1) {
    await setImmediate()
    globalThis.gc?.()
  }
}

/** Reports where the program accepts connections, and carries out the orders of the soak until it disconnects. */
export function ready(
  entrances: readonly Entrance[],
  parts: { plant?(fault: Fault, bytes: number): void; setDisturbed?(on: boolean): void } = {},
): void {
  process.on('message', (order: Order) => {
    if (order.type === 'plant') parts.plant?.(order.fault, order.bytes)
    else if (order.type === 'measure') {
      void collect().then(() => send({ type: 'measured', heap: process.memoryUsage().heapUsed }))
    } else parts.setDisturbed?.(order.type === 'disturb')
  })
  process.on('disconnect', () => process.exit(0))
  send({ type: 'ready', entrances })
}

/** Calls a function again and again, after a random time between two bounds in milliseconds, while it is switched on. */
export function atRandom(
  least: number,
  most: number,
  act: () => Promise<void> | void,
): (on: boolean) => void {
  let isOn = false
  let timer: NodeJS.Timeout | undefined
  const plan = (): void => {
    clearTimeout(timer)
    timer = setTimeout(() => void run(), least + Math.random() * (most - least))
  }
  const run = async (): Promise<void> => {
    await act()
    if (isOn) plan()
  }
  return (on) => {
    isOn = on
    if (on) plan()
    else clearTimeout(timer)
  }
}
