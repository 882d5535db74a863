/** Addresses: the check in TypeScript and the parser in Rust accept the same, and mean the same. */

import { networkInterfaces } from 'node:os'

import * as fc from 'fast-check'
import { expect } from 'vitest'

import { native } from '../../ts/native.js'
import { checkNumericTarget, toAddress } from '../../ts/net/address.js'
import { anyText, attempt, property, textChangesOf, texts, wordsOf, type Property } from './support.js'

const PORT = 8080
const UNIX = -1

/** A record of the native parser for an address. */
function parse(hostOrPath: string, port: number): Buffer {
  return Buffer.from(native.datagramRecord(hostOrPath, port))
}

const interfaces = new Set(Object.keys(networkInterfaces()))

/** Whether the zone of a link-local address names an interface, or has the form of an interface's number. */
function isKnownZone(host: string): boolean {
  const zone = host.slice(host.indexOf('%') + 1)
  return interfaces.has(zone) || (/^\d+$/.test(zone) && Number(zone) <= 0xffff_ffff)
}

const hostWords = wordsOf(
  '::',
  ':',
  '.',
  '%',
  '0',
  '1',
  '01',
  '255',
  '256',
  'ffff',
  'fe80',
  '1.2.3.4',
  'lo',
  'eth0',
  '+1',
  '-',
  '[',
  ']',
  ' ',
  'localhost',
  '\0',
  'é',
  'g',
  '00001',
  '%25',
  '/',
  '_',
)

const hosts = fc.oneof(
  hostWords,
  fc.ipV4(),
  fc.ipV6(),
  fc.ipV4Extended(),
  anyText,
  textChangesOf(texts('host'), hostWords),
)

const pathWords = wordsOf('/', 'a', '\0', '@', '.', 'é', ' ', '\n', 'a'.repeat(100), '\ud800')

export const addresses: readonly Property[] = [
  property('TypeScript and Rust accept the same hosts', hosts, texts('host'), (host) => {
    const checked = attempt(() => checkNumericTarget('target', { host, port: PORT }))
    const parsed = attempt(() => parse(host === 'localhost' ? '127.0.0.1' : host, PORT))
    if (host.includes('%') && 'value' in checked && !isKnownZone(host)) return
    expect({ host, accepted: 'value' in parsed }).toEqual({ host, accepted: 'value' in checked })
  }),

  property('a parsed host that is formatted and parsed again is the same', hosts, texts('host'), (host) => {
    const parsed = attempt(() => parse(host, PORT))
    if (!('value' in parsed)) return
    const formatted = native.datagramAddress(parsed.value)
    expect(formatted).toBeTruthy()
    const { hostOrPath = '', port = 0 } = formatted ?? {}
    expect(port).toBe(PORT)
    expect(parse(hostOrPath, port)).toEqual(parsed.value)
    const { host: again } = toAddress({ hostOrPath, port }) as { host: string }
    expect(checkNumericTarget('target', { host: again, port })).toEqual({ hostOrPath, port })
  }),

  property(
    'a path is accepted or refused with a code, and its length counts in bytes',
    fc.oneof(pathWords, anyText, textChangesOf(texts('path'), pathWords)),
    texts('path'),
    (path) => {
      const checked = attempt(() => checkNumericTarget('target', { path }))
      expect(checked).toEqual({ value: { hostOrPath: path, port: UNIX } })
      const parsed = attempt(() => parse(path, UNIX))
      const length = Buffer.byteLength(path)
      const isAbstract = path.startsWith('\0')
      const most = process.platform === 'linux' ? (isAbstract ? 108 : 107) : 103
      const isValid = length > (isAbstract ? 1 : 0) && !path.includes('\0', 1) && length <= most
      expect({ path, accepted: 'value' in parsed }).toEqual({ path, accepted: isValid })
    },
  ),

  property(
    'a record of 32 bytes has an address or none, and other lengths are refused',
    fc.uint8Array({ maxLength: 40 }),
    [new Uint8Array(32).fill(6), new Uint8Array(32).fill(4), new Uint8Array(31)],
    (record) => {
      const read = attempt(() => native.datagramAddress(record))
      if (record.length !== 32) return expect(read).toEqual({ code: 'ERR_OUT_OF_RANGE' })
      const kind = record[5]
      if (!('value' in read)) throw new Error('a record is refused')
      if (kind !== 4 && kind !== 6) return expect(read.value ?? undefined).toBeUndefined()
      const { hostOrPath = '', port = 0 } = read.value ?? {}
      expect('value' in attempt(() => parse(hostOrPath, port))).toBe(true)
    },
  ),
]
