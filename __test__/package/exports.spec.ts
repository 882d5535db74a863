import { readFile } from 'node:fs/promises'

import { describe, expect, it } from 'vitest'

import * as main from '../../index.js'
import * as net from '../../net.js'

/** The names that an entry point exports, in order; types are marked. */
async function exportsOf(file: string, values: object): Promise<string[]> {
  const source = await readFile(new URL(`../../${file}`, import.meta.url), 'utf8')
  const statements = [...source.matchAll(/^export (type )?(?:\{([^}]*)\}|\* as (\w+)) from/gm)]
  const names = statements.flatMap(([, isType = '', list, namespace = '']) =>
    // A list over several lines has a comma after its last name.
    (list?.replace(/,\s*$/, '').split(',') ?? [namespace]).map((name) => `${isType}${name.trim()}`),
  )
  // Nothing follows the comma that ends a list of several lines.
  const exported = names.filter((name) => /^type \w/.test(name))
  for (const [name, value] of Object.entries(values)) {
    exported.push(name)
    // A namespace, whose members are exports as well.
    if (typeof value === 'object' && !Object.isFrozen(value) && value !== null) {
      for (const member of Object.keys(value as object)) exported.push(`${name}.${member}`)
    }
  }
  return exported.map((name) => name.replace(/^type (.*)$/, '$1 (type)')).toSorted()
}

describe('the entry points', () => {
  it('export what docs/api-exports.txt lists', async () => {
    const lists = [
      'event-base',
      ...(await exportsOf('index.ts', main)),
      '',
      'event-base/net',
      ...(await exportsOf('net.ts', net)),
      '',
    ]
    // A change of the public surface shows as a change of that file: vitest's -u writes it.
    await expect(lists.join('\n')).toMatchFileSnapshot('../../docs/api-exports.txt')
  })

  it('are what package.json exports, built', async () => {
    const shipped = (await import('../../dist/index.js' as string)) as object
    const shippedNet = (await import('../../dist/net.js' as string)) as object
    expect(Object.keys(shipped).toSorted()).toEqual(Object.keys(main).toSorted())
    expect(Object.keys(shippedNet).toSorted()).toEqual(Object.keys(net).toSorted())
    const manifest = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
      exports: Record<string, { default: string } | string>
    }
    expect(manifest.exports['.']).toMatchObject({ default: './dist/index.js' })
    expect(manifest.exports['./net']).toMatchObject({ default: './dist/net.js' })
  })
})
