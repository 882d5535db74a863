// What runs of the mutants keep for later ones.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { targetFolder } from './cargo.js'

/** The folder of the mutants, below `target`. */
export const MUTANTS: string = targetFolder('mutants')

/** What a run learns for the next one, in a file of {@link MUTANTS}. */
export class Store<T> {
  readonly #path: string
  readonly #entries: Map<string, T>

  private constructor(path: string, entries: Map<string, T>) {
    this.#path = path
    this.#entries = entries
  }

  static async open<T>(name: string): Promise<Store<T>> {
    const path = join(MUTANTS, `${name}.json`)
    const entries = JSON.parse(await readFile(path, 'utf8').catch(() => '{}')) as Record<string, T>
    return new Store(path, new Map(Object.entries(entries)))
  }

  get(key: string): T | undefined {
    return this.#entries.get(key)
  }

  set(key: string, value: T): void {
    this.#entries.set(key, value)
  }

  async save(): Promise<void> {
    await writeFile(this.#path, JSON.stringify(Object.fromEntries(this.#entries)))
  }
}
