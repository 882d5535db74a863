/** Folders that are kept from one run to the next: `scripts/lib/cache.ts`. */

import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { cached } from '../../scripts/lib/cache.js'
import { folder } from '../net/support.js'

/** Fills a folder with one file. */
function write(name: string): (into: string) => Promise<void> {
  return async (into) => writeFileSync(join(into, name), '')
}

function fail(): Promise<void> {
  throw new Error('must not be called')
}

test('a folder is made again only if its inputs differ', async () => {
  const path = join(folder(), 'made')
  expect(await cached(path, 'one', write('first'))).toBe(path)
  expect(await cached(path, 'one', fail)).toBe(path)
  expect(readdirSync(path)).toEqual(['first'])
  await cached(path, 'two', write('second'))
  expect(readdirSync(path)).toEqual(['second'])
})

test('a folder whose making failed does not exist, also where an older one did', async () => {
  const path = join(folder(), 'made')
  await cached(path, 'one', write('first'))
  const interrupted = cached(path, 'two', async (into) => {
    await write('half')(into)
    throw new Error('interrupted')
  })
  await expect(interrupted).rejects.toThrow('interrupted')
  expect(existsSync(path)).toBe(false)
  await cached(path, 'two', write('second'))
  expect(readdirSync(path)).toEqual(['second'])
})
