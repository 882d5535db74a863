// Memory that changes while the package uses it.
import { runInContext, createContext } from 'node:vm'

import type { World } from './world.js'

const realm = createContext({})
const FILL = 0x41

/** A buffer in one of the forms that the package accepts. Its bytes are those of tampered streams. */
export function someBytes(world: World): Uint8Array {
  const { random } = world
  const length = random.pick([0, 1, 3, 100, 1000, 5000, 65_536, 200_000])
  const made = makeBytes(world, random.below(7), length)
  made.fill(FILL)
  if (random.chance(0.2) && length > 3) made[length >> 1] = 0x0a
  world.keep(world.buffers, made)
  return made
}

function makeBytes(world: World, kind: number, length: number): Uint8Array {
  switch (kind) {
    case 0:
      return new Uint8Array(length)
    case 1:
      return Buffer.allocUnsafe(length)
    case 2:
      return Buffer.alloc(length + 20).subarray(7, 7 + length)
    case 3:
      return new Uint8Array(resizable(length, length + 4096))
    case 4:
      return new Uint8Array(resizable(length + 8, length + 4096), 4, length)
    case 5:
      return runInContext(`new Uint8Array(${length})`, realm) as Uint8Array
    default: {
      // Two buffers on the same memory.
      const other = world.random.some(world.buffers)
      return other === undefined || other.length === 0
        ? new Uint8Array(length)
        : new Uint8Array(other.buffer, other.byteOffset, other.length)
    }
  }
}

type Resizable = ArrayBuffer & { resizable: boolean; maxByteLength: number; resize(length: number): void }

function resizable(length: number, most: number): ArrayBuffer {
  // The types of ES2022 do not have the second argument.
  return Reflect.construct(ArrayBuffer, [length, { maxByteLength: most }]) as ArrayBuffer
}

/** Transfers, resizes or overwrites memory. */
export function disturb(world: World, bytes: Uint8Array): void {
  const memory = bytes.buffer as Resizable
  const { random } = world
  try {
    if (memory.resizable && random.chance(0.5)) {
      memory.resize(random.between(0, memory.maxByteLength))
      return
    }
    structuredClone(memory, { transfer: [memory] })
  } catch {
    // Node's pool cannot be transferred, and what is detached cannot be transferred again.
  }
}
