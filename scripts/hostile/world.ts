// The state of an episode: every object that operations use, the log, and the calls of hostile code.
import { writeSync } from 'node:fs'

import type { CommonTimeout, Event, EventBase, RemoteBase, SharedBase, Watcher } from '../../index.js'
import type {
  BufferEventGroup,
  ByteQueue,
  DatagramBatch,
  Listener,
  RateGroup,
  Relay,
  SocketAddress,
  TcpProxy,
} from '../../net.js'
import { isOpen } from '../lib/system.mjs'
import type { EventModel } from './event-model.js'
import type { FlowModel } from './flow-model.js'
import { describeError, HostileError, Judge, printable } from './judge.js'
import type { Random } from './random.js'
import type { StreamModel } from './stream-model.js'

/** An operation, which makes one or more calls of the package. */
export interface Operation {
  readonly name: string
  /** How often it is chosen, relative to the others. */
  readonly weight: number
  run(world: World): void
}

/** The settings of an episode. */
export interface WorldSettings {
  readonly random: Random
  /** The number of operations, including those of callbacks. */
  readonly budget: number
  readonly inWorker: boolean
  /** The descriptor of the log. */
  readonly log: number
  /** Records that this program owns a descriptor, or no longer owns it. */
  readonly onOwn: (fd: number, owns: boolean) => void
  /** Records that descriptors are handed over, which must not be interrupted by the end of the thread. */
  readonly onHandOver: (depth: number) => void
  /** A folder for the paths of sockets. */
  readonly folder: string
}

/** The number of nested calls of hostile code. */
const DEEPEST = 3
/** The number of objects of each kind that an episode holds. */
const MOST = 24

export class World {
  readonly judge: Judge = new Judge((line) => this.note(line))
  readonly random: Random
  readonly settings: WorldSettings
  readonly bases: EventBase[] = []
  readonly events: EventModel[] = []
  /** Events of which only the garbage collector knows, and ids of closed events. */
  readonly staleIds: number[] = []
  readonly commonTimeouts: CommonTimeout[] = []
  readonly watchers: Watcher[] = []
  readonly tokens: SharedBase[] = []
  readonly remotes: RemoteBase[] = []
  readonly queues: ByteQueue[] = []
  readonly streams: StreamModel[] = []
  readonly groups: BufferEventGroup[] = []
  readonly rateGroups: RateGroup[] = []
  readonly relays: Relay[] = []
  readonly listeners: Listener[] = []
  readonly targets: SocketAddress[] = []
  readonly proxies: TcpProxy[] = []
  readonly batches: DatagramBatch[] = []
  readonly buffers: Uint8Array[] = []
  /** Bytes that checked streams have returned. They are transferred, but not written anywhere. */
  readonly taken: Uint8Array[] = []
  readonly flows: FlowModel[] = []
  readonly aborts: AbortController[] = []
  readonly watches: AsyncIterableIterator<number, undefined>[] = []
  /** Called at the end of the episode, before the bases are closed. */
  readonly atEnd: (() => Promise<void>)[] = []
  /** Called when every base is closed, to check what has arrived. */
  readonly checks: (() => void)[] = []
  /** Each ends one side of a checked relay. */
  readonly endings: (() => void)[] = []
  /** Whether descriptors may be left open, because a worker ended while it handed one over. */
  forgiveDescriptors = false
  /** Whether native threads or workers run, which may take the number of a closed descriptor. */
  hasThreads = false
  /** The ids with which shared bases were called. */
  readonly remoteIds = new Set<unknown>()
  /** Whether signals were sent to the process. */
  signals = 0
  /** Whether the episode ends, so that hostile code does nothing any more. */
  over = false
  /** The number of calls of each name, accepted and rejected. */
  readonly calls: Map<string, { accepted: number; rejected: number }> = new Map()
  /** Descriptors that this program owns. */
  readonly #fds: Set<number> = new Set()
  /** Those of {@link #fds} that only checked flows use. */
  readonly #reserved: Set<number> = new Set()
  /** Numbers of descriptors that are closed, or were handed over. */
  readonly #stale: number[] = []
  readonly #pending: Set<string> = new Set()
  readonly #running: Map<EventBase, number> = new Map()
  readonly #operations: readonly Operation[]
  readonly #total: number
  readonly #labels: WeakMap<object, string> = new WeakMap()
  #labelled = 0
  #tracked = 0
  #spent = 0
  #depth = 0
  #handingOver = 0

  constructor(settings: WorldSettings, operations: readonly Operation[]) {
    this.settings = settings
    this.random = settings.random
    this.#operations = operations
    this.#total = operations.reduce((sum, { weight }) => sum + weight, 0)
  }

  get spent(): number {
    return this.#spent
  }

  get hasBudget(): boolean {
    return !this.over && this.#spent < this.settings.budget
  }

  // ---- operations and hostile code

  /** Runs a random operation. */
  step(): void {
    let rest = this.random.next() * (this.#total / 0x1_0000_0000)
    for (const operation of this.#operations) {
      rest -= operation.weight
      if (rest > 0) continue
      this.#spent += 1
      this.note(`- ${operation.name}`)
      operation.run(this)
      return
    }
  }

  /** Runs a few operations from code that the package calls. */
  reenter(): void {
    if (this.#depth >= DEEPEST || !this.hasBudget) return
    this.#depth += 1
    try {
      for (let count = this.random.below(3); count > 0 && this.hasBudget; count -= 1) this.step()
    } finally {
      this.#depth -= 1
    }
  }

  /** Runs operations as {@link reenter} does, and sometimes throws. */
  misbehave(): void {
    this.reenter()
    if (!this.over && this.random.chance(0.04)) throw new HostileError('thrown by hostile code')
  }

  /** A callback that the package calls. `check` runs first. A callback of a closed base is a fault. */
  callback<Arguments extends readonly unknown[]>(
    name: string,
    base: EventBase | undefined,
    check?: (...args: Arguments) => void,
  ): (...args: Arguments) => void {
    return (...args) => {
      this.note(`> ${name}`)
      if (base?.closed === true) this.judge.fault(`${name}: called although its base is closed`)
      check?.(...args)
      this.misbehave()
    }
  }

  // ---- calls

  /** Makes a call, and judges its error. Returns `undefined` if the call is rejected. */
  call<T>(
    name: string,
    args: readonly unknown[],
    body: () => T,
    also?: readonly string[],
    target?: object,
  ): T | undefined {
    const label = target === undefined ? undefined : this.#labels.get(target)
    const shown = label === undefined ? name : name.replace(/^\w+/, label)
    this.note(`${shown}(${args.map((value) => this.show(value)).join(', ')})`)
    const counts = this.calls.get(name) ?? { accepted: 0, rejected: 0 }
    this.calls.set(name, counts)
    try {
      const result = body()
      counts.accepted += 1
      return result
    } catch (error) {
      counts.rejected += 1
      this.note(`  ${name} threw ${describeError(error)}`)
      this.judge.rejected(name, error, also)
      return undefined
    }
  }

  /** Calls a method with arguments of any type. */
  invoke(
    name: string,
    target: object,
    method: string,
    args: readonly unknown[],
    also?: readonly string[],
  ): unknown {
    return this.call(
      `${name}.${method}`,
      args,
      () => (target as Record<string, (...args: readonly unknown[]) => unknown>)[method]?.(...args),
      also,
      target,
    )
  }

  /** Reads properties. */
  read(name: string, target: object, ...properties: readonly string[]): void {
    const property = this.random.pick(properties)
    this.call(`${name}.${property}`, [], () => (target as Record<string, unknown>)[property])
  }

  /** Expects a promise to settle, at the latest when its base is closed. */
  track<T>(
    name: string,
    promise: Promise<T> | undefined,
    settled: { resolved?: (value: T) => void; rejected?: () => void } = {},
    also?: readonly string[],
  ): void {
    if (promise !== undefined) void this.#settle(name, promise, settled, also)
  }

  async #settle<T>(
    name: string,
    promise: Promise<T>,
    settled: { resolved?: (value: T) => void; rejected?: () => void },
    also: readonly string[] | undefined,
  ): Promise<void> {
    this.#tracked += 1
    const entry = `${name} (promise ${this.#tracked})`
    this.note(`awaiting ${entry}`)
    this.#pending.add(entry)
    try {
      const value = await promise
      this.note(`> ${name} resolved`)
      settled.resolved?.(value)
    } catch (reason) {
      this.note(`> ${name} rejected: ${describeError(reason)}`)
      this.judge.rejected(name, reason, also)
      settled.rejected?.()
    } finally {
      this.#pending.delete(entry)
    }
    if (this.random.chance(0.3)) this.reenter()
  }

  /** The promises that are not settled. */
  get pending(): string[] {
    return [...this.#pending]
  }

  // ---- loops

  /** Whether a loop of the base may be running, according to the calls that were made. */
  isRunning(base: EventBase): boolean {
    return this.loopsOf(base) > 0
  }

  /** The number of calls that may be running a loop of the base. */
  loopsOf(base: EventBase): number {
    return this.#running.get(base) ?? 0
  }

  enterLoop(base: EventBase): void {
    this.#running.set(base, this.loopsOf(base) + 1)
  }

  leaveLoop(base: EventBase): void {
    this.#running.set(base, this.loopsOf(base) - 1)
  }

  // ---- descriptors

  /** Adds descriptors that this program owns from now on. */
  own(...fds: readonly number[]): void {
    for (const fd of fds) {
      this.#fds.add(fd)
      this.settings.onOwn(fd, true)
    }
  }

  /** Removes a descriptor, which is closed or has another owner now. */
  disown(fd: number): void {
    if (!this.#fds.delete(fd)) return
    this.#reserved.delete(fd)
    this.settings.onOwn(fd, false)
    this.#stale.push(fd)
    if (this.#stale.length > MOST) this.#stale.shift()
  }

  owns(fd: number): boolean {
    return this.#fds.has(fd)
  }

  get owned(): number[] {
    return [...this.#fds]
  }

  /** Keeps a descriptor from being chosen at random. */
  reserve(fd: number): void {
    this.#reserved.add(fd)
  }

  /** A descriptor that this program owns. */
  fd(): number | undefined {
    return this.random.some(this.owned.filter((fd) => !this.#reserved.has(fd)))
  }

  /**
   * A descriptor for a call that does not close it or take it over: an open one of this program, the number of a closed
   * one, or a number that was never open.
   */
  anyFd(): number {
    if (this.random.chance(0.1)) return this.random.pick([-1, 70_000, 0x7fff_ffff])
    if (this.random.chance(0.1)) {
      const stale = this.random.some(this.#stale)
      // The number may belong to the host or to the package by now.
      if (stale !== undefined && !this.hasThreads && !isOpen(stale)) return stale
    }
    return this.fd() ?? 70_000
  }

  /** Runs a call that opens descriptors or hands them over. */
  handingOver<T>(body: () => T): T {
    this.#handingOver += 1
    this.settings.onHandOver(this.#handingOver)
    try {
      return body()
    } finally {
      this.#handingOver -= 1
      this.settings.onHandOver(this.#handingOver)
    }
  }

  // ---- objects

  base(): EventBase | undefined {
    return this.random.some(this.bases)
  }

  event(): Event | undefined {
    return this.random.some(this.events)?.event
  }

  /** Adds an object, in place of an old one if there are many. */
  keep<T>(list: T[], value: T | undefined): void {
    if (value === undefined) return
    if (list.length < MOST) list.push(value)
    else list[this.random.below(MOST)] = value
  }

  abortSignal(): AbortSignal {
    const controller = new AbortController()
    this.keep(this.aborts, controller)
    if (this.random.chance(0.1)) controller.abort(new HostileError('aborted before the call'))
    return controller.signal
  }

  // ---- the log

  note(line: string): void {
    const place = this.settings.inWorker ? '[worker] ' : ''
    writeSync(this.settings.log, `${place}${'  '.repeat(this.#depth)}${printable(line)}\n`)
  }

  /** Gives an object a name in the log. */
  label<T extends object>(value: T, kind: string): T {
    this.#labelled += 1
    this.#labels.set(value, `${kind}#${this.#labelled}`)
    return value
  }

  nameOf(value: object): string {
    return this.#labels.get(value) ?? 'object'
  }

  /** A short form of a value for the log, without running its code. */
  show(value: unknown): string {
    if (typeof value === 'string')
      return JSON.stringify(value.length > 30 ? `${value.slice(0, 30)}...` : value)
    if (typeof value === 'function') return this.#labels.get(value) ?? 'function'
    if (typeof value !== 'object' || value === null)
      return `${String(value)}${typeof value === 'bigint' ? 'n' : ''}`
    return this.#labels.get(value) ?? (ArrayBuffer.isView(value) ? `${value.byteLength} bytes` : 'object')
  }
}
