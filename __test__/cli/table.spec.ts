import { describe, expect, test } from 'vitest'

import { formatBytes, formatColumns, formatMs, formatRate, formatUptime } from '../../ts/cli/format.js'
import { Table } from '../../ts/cli/table.js'
import type { ProxyStats, UpstreamStats } from '../../net.js'

/** A terminal that interprets the control sequences of the table. */
class Screen {
  columns = 120
  rows = 24
  cursorHidden = false
  lines: string[] = ['$ event-base proxy', '']

  write(text: string): boolean {
    const visible = text.replaceAll('\x1b', 'ESC')
    const parts = visible.split(/(ESC\[\??\d*[A-Za-z]|\n|\r)/).filter((part) => part !== '')
    for (const part of parts) this.#take(part)
    return true
  }

  #row = 1

  #take(part: string): void {
    const up = /^ESC\[(\d+)A$/.exec(part)?.[1]
    if (part === 'ESC[?25l') this.cursorHidden = true
    else if (part === 'ESC[?25h') this.cursorHidden = false
    else if (up !== undefined) this.#row -= Number(up)
    else if (part === 'ESC[J') this.lines.length = this.#row
    else if (part === '\n') this.#row += 1
    else if (part !== '\r') {
      expect(part).not.toContain('ESC')
      expect(part.length).toBeLessThan(this.columns)
      this.lines[this.#row] = part
    }
  }
}

function upstream(name: string, more: Partial<UpstreamStats> = {}): UpstreamStats {
  const counts = { connected: 0, open: 0, refused: 0, failed: 0, bytesAToB: 0, bytesBToA: 0 }
  return { name, weight: 1, state: 'up', ...counts, connectMs: 0, longestConnectMs: 0, ...more }
}

function stats(upstreams: UpstreamStats[], more: Partial<ProxyStats> = {}): ProxyStats {
  const connections = { accepted: 0, open: 0, refused: 0, failed: 0, timedOut: 0, acceptPauses: 0 }
  return { ...connections, bytesAToB: 0, bytesBToA: 0, threads: [], upstreams, ...more }
}

describe('the table', () => {
  test('is redrawn in its place, and restores the cursor', () => {
    const screen = new Screen()
    const table = new Table(screen, 'a proxy')
    table.draw(stats([upstream('a:1'), upstream('b:2', { state: 'down', retryAfter: 1500, refused: 3 })]))
    expect(screen.cursorHidden).toBe(true)
    const first = [...screen.lines]
    expect(first).toHaveLength(6)
    expect(first.slice(0, 2)).toEqual(['$ event-base proxy', 'a proxy, up 0:00:00'])
    expect(first[2]?.trim().split(/ +/)).toEqual(
      'accepted connected open refused failed state A→B/s B→A/s connect A→B B→A'.split(' '),
    )
    expect(first[5]).toMatch(/^b:2 +0 +0 +3 +0  down for 1\.5 s  .* 0 B$/)

    table.draw(stats([upstream('a:1', { connected: 7, connectMs: 0.25 })], { accepted: 7, bytesAToB: 2048 }))
    expect(screen.lines).toHaveLength(5)
    expect(screen.lines[3]).toMatch(/^all +7 +7 +0 +0 +0 +\d\S* \S?i?B +0 B +2\.00 KiB +0 B$/)
    expect(screen.lines[4]).toMatch(/^a:1 +7 +0 +0 +0 +up .* 250 µs /)

    table.end()
    expect(screen.cursorHidden).toBe(false)
    expect(screen.lines[0]).toBe('$ event-base proxy')
  })

  test('shows problems above it', () => {
    const screen = new Screen()
    const table = new Table(screen, 'a proxy')
    table.draw(stats([upstream('a:1')]))
    table.insertAbove('something went wrong')
    table.draw(stats([upstream('a:1')]))
    expect(screen.lines.slice(0, 3)).toEqual([
      '$ event-base proxy',
      'something went wrong',
      expect.stringContaining('a proxy'),
    ])
    expect(screen.lines).toHaveLength(6)
  })

  test.each([
    [24, 100],
    [8, 40],
    [3, 10],
  ])('fits a screen of %i rows and %i columns', (rows, columns) => {
    const screen = new Screen()
    Object.assign(screen, { rows, columns, lines: ['', ''] })
    const table = new Table(screen, 'a proxy with a rather long title that says where it is')
    const many = Array.from({ length: 50 }, (_, index) => upstream(`some.host.example.org:${index}`))
    for (let round = 0; round < 3; round++) table.draw(stats(many))
    expect(screen.lines.length).toBeLessThanOrEqual(rows)
    if (rows > 5) expect(screen.lines.at(-1)).toMatch(/^and \d+ more upstreams$/)
  })
})

test('numbers are formatted with suitable units', () => {
  expect([0, 999, 1000, 1024 * 1024, 12.5 * 2 ** 30].map(formatBytes)).toEqual([
    '0 B',
    '999 B',
    '0.977 KiB',
    '1.00 MiB',
    '12.5 GiB',
  ])
  expect([formatRate(4096, 2), formatRate(1, 0), formatRate(-5, 1)]).toEqual(['2.00 KiB', '0 B', '0 B'])
  expect([0, 0.5, 1.25, 1500].map(formatMs)).toEqual(['-', '500 µs', '1.3 ms', '1.5 s'])
  expect([formatUptime(0), formatUptime(3723.9)]).toEqual(['0:00:00', '1:02:03'])
  expect(
    formatColumns([
      ['a', '1'],
      ['bcd', '22'],
    ]),
  ).toEqual(['a     1', 'bcd  22'])
})
