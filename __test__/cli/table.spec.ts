import { describe, expect, onTestFinished, test, vi } from 'vitest'

import { formatBytes, formatColumns, formatMs, formatRate, formatUptime } from '../../ts/cli/format.js'
import { Table } from '../../ts/cli/table.js'
import { stats, upstream } from './support.js'

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

  test('shows the bytes per second since the last drawing', () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const screen = new Screen()
    const table = new Table(screen, 'a proxy')
    const draw = (seconds: number, bytesAToB: number, bytesBToA: number): string[] => {
      vi.advanceTimersByTime(seconds * 1000)
      const one = upstream('a:1', { bytesAToB: bytesAToB / 2, bytesBToA: bytesBToA / 2 })
      table.draw(stats([one], { bytesAToB, bytesBToA }))
      return screen.lines.slice(3).map((line) => line.replace(/ {2,}/g, '|'))
    }
    expect(draw(1, 600, 400)).toEqual([
      'all|0|0|0|0|0|0 B|0 B|600 B|400 B',
      'a:1|0|0|0|0|up|0 B|0 B|-|300 B|200 B',
    ])
    expect(draw(2, 800, 404)).toEqual([
      'all|0|0|0|0|0|100 B|2 B|800 B|404 B',
      'a:1|0|0|0|0|up|50 B|1 B|-|400 B|202 B',
    ])
    // The bytes of a connection that ended count no longer if the proxy forgets them.
    expect(draw(1, 0, 404)[0]).toBe('all|0|0|0|0|0|0 B|0 B|0 B|404 B')
    expect(screen.lines[1]).toBe('a proxy, up 0:00:04')
  })

  test('shows the sums over all upstreams, also those without a line', () => {
    const screen = new Screen()
    screen.rows = 7
    const table = new Table(screen, 'a proxy')
    const many = Array.from({ length: 3 }, (_, index) => upstream(`a:${index}`, { connected: 2 }))
    table.draw(stats(many, { accepted: 9, open: 8, refused: 7, failed: 6 }))
    expect(screen.lines[3]).toMatch(/^all +9 +6 +8 +7 +6 /)
    expect(screen.lines.slice(4).map((line) => line.slice(0, 3))).toEqual(['a:0', 'a:1', 'and'])
    expect(screen.lines.at(-1)).toBe('and 1 more upstreams')
    screen.rows = 8
    table.draw(stats(many))
    expect(screen.lines.slice(4).map((line) => line.slice(0, 3))).toEqual(['a:0', 'a:1', 'a:2'])
  })

  test('is drawn below the last output after text was dropped', () => {
    const texts: string[] = []
    let isFull = false
    const terminal = { columns: 80, rows: 24, write: (text: string) => (texts.push(text), !isFull) }
    const table = new Table(terminal, 'a proxy')
    const erased = (): (string | undefined)[] => texts.map((text) => /\[(\d+)A\r/.exec(text)?.[1])
    table.draw(stats([upstream('a:1')]))
    isFull = true
    table.insertAbove('dropped')
    table.draw(stats([upstream('a:1'), upstream('a:2')]))
    isFull = false
    table.draw(stats([upstream('a:1')]))
    // The four lines of the first drawing are still those on the screen.
    expect(erased()).toEqual([undefined, '4', '4', '4'])
    table.insertAbove('written')
    table.draw(stats([upstream('a:1')]))
    expect(erased().slice(4)).toEqual(['4', undefined])
  })

  test('has 80 columns and 24 rows on a terminal of unknown size', () => {
    let text = ''
    const table = new Table({ write: (more) => ((text += more), true) }, 'x'.repeat(100))
    table.draw(stats(Array.from({ length: 50 }, (_, index) => upstream(`a:${index}`))))
    const lines = text.trimEnd().split('\n')
    expect(lines).toHaveLength(23)
    expect(lines[0]).toMatch(/x{79}$/)
    expect(lines[0]).not.toMatch(/x{80}$/)
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
  expect([0, 999, 1000, 1024 * 1024, 12.5 * 2 ** 30, 2 ** 50, 5000 * 2 ** 50].map(formatBytes)).toEqual([
    '0 B',
    '999 B',
    '0.977 KiB',
    '1.00 MiB',
    '12.5 GiB',
    '1.00 PiB',
    '5.00e+3 PiB',
  ])
  expect([formatRate(4096, 2), formatRate(1, 0), formatRate(-5, 1)]).toEqual(['2.00 KiB', '0 B', '0 B'])
  expect([0, 0.5, 1, 1.25, 1000, 1500].map(formatMs)).toEqual([
    '-',
    '500 µs',
    '1.0 ms',
    '1.3 ms',
    '1.0 s',
    '1.5 s',
  ])
  expect([formatUptime(0), formatUptime(3723.9), formatUptime(36_000)]).toEqual([
    '0:00:00',
    '1:02:03',
    '10:00:00',
  ])
  expect(
    formatColumns([
      ['a', '1'],
      ['bcd', '22'],
    ]),
  ).toEqual(['a     1', 'bcd  22'])
})
