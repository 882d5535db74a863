import { execFile } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { expect, onTestFinished, test } from 'vitest'

import { folder, LOOPBACK } from './support.js'

const fixture = fileURLToPath(new URL('../fixtures/unprivileged.ts', import.meta.url))

test('an operation without the privilege or the permission fails with the code of the system', async () => {
  const place = folder()
  onTestFinished(() => chmodSync(place, 0o700))
  // In a process of its own, which drops its privileges.
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', fixture, place])
  const path = `${place}/listening`
  expect(JSON.parse(stdout)).toEqual({
    transparent: { code: 'EPERM', syscall: 'setsockopt', address: LOOPBACK },
    listen: { code: 'EACCES', syscall: 'bind', address: `${path}.new` },
    connect: { code: 'EACCES', syscall: 'connect', address: path },
  })
})
