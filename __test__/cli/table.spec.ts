import { describe, expect, onTestFinished, test, vi } from 'vitest'

import {
  formatBytes,
  formatColumns,
  formatMs,
  formatRate,
  formatUptime,
  shorten,
} from '../../ts/cli/format.js'
import { Table } from '../../ts/cli/table.js'
import { stats, upstream } from './support.js'

/** The heads of the columns after the name. */
const HEADS = 'state open refused failed A→B/s B→A/s connected connect accepted unserved A→B B→A'.split(' ')

/** A terminal that interprets the control sequences of the table. */
class Screen {
  columns = 140
  rows = 24
  cursorHidden = false
  lines: string[] = ['$ event-base proxy', '']

  write(text: string): boolean {
    const visible = text.replaceAll('\x1b', 'ESC')
    const parts = visible.split(/(ESC\[\??\d*[A-Za-z]|\n|\r)/).filter((part) => part !== '')
    for (const part of parts) this.#take(part)
    return true
  }

  /** Changes the width, and breaks lines that are too long, as most terminals do. */
  narrow(columns: number): void {
    this.columns = columns
    const broken = this.lines.map((line) => line.match(new RegExp(`.{1,${columns}}`, 'gs')) ?? [''])
    this.#row = broken.slice(0, this.#row).flat().length
    this.lines = broken.flat()
  }

  /** The words of the line with the heads. */
  get heads(): string[] {
    return this.lines[2]?.trim().split(/ +/) ?? []
  }

  #row = 1
  #column = 0

  #take(part: string): void {
    const up = /^ESC\[(\d+)A$/.exec(part)?.[1]
    if (part === 'ESC[?25l') this.cursorHidden = true
    else if (part === 'ESC[?25h') this.cursorHidden = false
    else if (up !== undefined) this.#row -= Number(up)
    else if (part === 'ESC[J') {
      // tmux copies the screen into its history.
      expect([this.#row, this.#column]).not.toEqual([0, 0])
      expect(this.#column).toBe(0)
      this.lines.length = this.#row
    } else if (part === 'ESC[K') this.lines[this.#row] = this.#line.slice(0, this.#column)
    else if (part === '\n') [this.#row, this.#column] = [this.#row + 1, 0]
    else if (part === '\r') this.#column = 0
    else {
      expect(part).not.toContain('ESC')
      const end = this.#column + part.length
      expect(end).toBeLessThan(this.columns)
      this.lines[this.#row] = this.#line.slice(0, this.#column) + part + this.#line.slice(end)
      this.#column = end
    }
  }

  get #line(): string {
    return this.lines[this.#row] ?? ''
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
    expect(screen.heads).toEqual(HEADS)
    expect(first[5]).toMatch(/^b:2 +down 1\.5 s +0 +3 +0 .* 0 B$/)

    table.draw(stats([upstream('a:1', { connected: 7, connectMs: 0.25 })], { accepted: 7, bytesAToB: 2048 }))
    expect(screen.lines).toHaveLength(5)
    expect(screen.lines[3]).toMatch(/^all +0 +0 +0 +\d\S* \S?i?B +0 B +7 +7 +0 +2\.00 KiB +0 B$/)
    expect(screen.lines[4]).toMatch(/^a:1 +up +0 +0 +0 .* 7 +250 µs /)

    table.end(stats([upstream('a:1', { connected: 8 })]))
    expect(screen.cursorHidden).toBe(false)
    expect(screen.lines[1]).toBe('a proxy, up 0:00:00, ended')
    expect(screen.lines[4]).toMatch(/^a:1 +up .* 8 +- /)
    expect(screen.lines).toHaveLength(5)
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
      'all|0|0|0|0 B|0 B|0|0|0|600 B|400 B',
      'a:1|up|0|0|0|0 B|0 B|0|-|300 B|200 B',
    ])
    expect(draw(2, 800, 404)).toEqual([
      'all|0|0|0|100 B|2 B|0|0|0|800 B|404 B',
      'a:1|up|0|0|0|50 B|1 B|0|-|400 B|202 B',
    ])
    // The bytes of a connection that ended count no longer if the proxy forgets them.
    expect(draw(1, 0, 404)[0]).toBe('all|0|0|0|0 B|0 B|0|0|0|0 B|404 B')
    expect(screen.lines[1]).toBe('a proxy, up 0:00:04')
  })

  test('shows the sums over all upstreams, also those without a line', () => {
    const screen = new Screen()
    screen.rows = 7
    const table = new Table(screen, 'a proxy')
    const one = { connected: 2, refused: 1, failed: 5 }
    const many = Array.from({ length: 3 }, (_, index) => upstream(`a:${index}`, one))
    table.draw(stats(many, { accepted: 9, open: 8, refused: 7, failed: 15 }))
    // Connects that were refused are summed. A client whose every connect failed is unserved.
    expect(screen.lines[3]).toMatch(/^all +8 +3 +15 +0 B +0 B +6 +9 +7 /)
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

  test.each([{}, { columns: 0, rows: 0 }])(
    'has 80 columns and 24 rows on a terminal of unknown size: %o',
    (size) => {
      let text = ''
      const terminal = { ...size, write: (more: string) => ((text += more), true) }
      const table = new Table(terminal, 'x'.repeat(100))
      table.draw(stats(Array.from({ length: 50 }, (_, index) => upstream(`a:${index}`))))
      const lines = text
        .replaceAll('\x1b', '')
        .replaceAll(/\[\??\d*[A-Za-z]/g, '')
        .trimEnd()
        .split('\n')
      expect(lines).toHaveLength(23)
      expect(lines[0]).toMatch(/^x+…x+, up 0:00:00$/)
      expect(lines[0]).toHaveLength(79)
    },
  )

  test.each([
    [160, 12],
    [80, 6],
    [60, 4],
    [40, 2],
    [26, 1],
  ])('shows whole columns at a width of %i, the %i most important ones', (columns, count) => {
    const screen = new Screen()
    screen.columns = columns
    const usual = { connected: 12_345, open: 678, refused: 9, failed: 10, connectMs: 999.9 }
    const down = { ...usual, state: 'down', retryAfter: 30_000 } as const
    new Table(screen, 'a proxy').draw(
      stats([upstream('127.0.0.1:9000', usual), upstream('some.host.example.org:65535', down)]),
    )
    expect(screen.heads).toEqual(HEADS.slice(0, count))
    for (const line of screen.lines.slice(2)) expect(line.length).toBeLessThan(columns)
    expect(screen.lines[5]).toMatch(
      columns > 110 ? /^some\S+:65535 +down 30\.0 s/ : /^some\S*…\S*5 +down 30\.0 s/,
    )
  })

  test('keeps its columns in their places while usual values change', () => {
    const screen = new Screen()
    screen.columns = 80
    const table = new Table(screen, 'a proxy')
    table.draw(stats([upstream('127.0.0.1:9000')]))
    const before = screen.lines[2]
    const values = {
      open: 99_999,
      refused: 99_999,
      failed: 99_999,
      bytesAToB: 1023 * 2 ** 30,
      connectMs: 99.9,
    }
    table.draw(stats([upstream('127.0.0.1:9000', { ...values, state: 'down', retryAfter: 29_999 })], values))
    expect(screen.lines[2]).toBe(before)
  })

  test('leaves no copy on a terminal that has become narrower or wider', () => {
    const screen = new Screen()
    const table = new Table(screen, 'a proxy')
    const drawing = stats([upstream('127.0.0.1:9000'), upstream('127.0.0.1:9001')])
    for (const columns of [140, 80, 33, 12, 100, 81, 80, 79]) {
      screen.narrow(columns)
      table.draw(drawing)
      expect(screen.lines[0]?.slice(0, 8), `${columns} columns`).toBe('$ event-')
      const table80 = screen.lines.slice(screen.lines.findIndex((line) => line.includes('up 0')))
      expect(
        table80.filter((line) => line.startsWith('all')),
        `${columns} columns`,
      ).toHaveLength(1)
      expect(
        screen.lines.filter((line) => line.startsWith('all')),
        `${columns} columns`,
      ).toHaveLength(1)
    }
  })

  test('shows that the proxy drains, and the time that is left, whatever the width of the title', () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const screen = new Screen()
    screen.columns = 80
    const table = new Table(screen, `event-base proxy at unix:/run/${'x'.repeat(60)}.sock (4 threads)`)
    const title = (): string => {
      table.draw(stats([upstream('a:1')]))
      return screen.lines[1] ?? ''
    }
    expect(title()).toMatch(/^event-base proxy .*…\S* \(4 threads\), up 0:00:00$/)
    table.drain(2500)
    expect(title()).toMatch(/^event-base.*, up 0:00:00, draining for 3 s at most$/)
    vi.advanceTimersByTime(2000)
    expect(title()).toMatch(/, up 0:00:02, draining for 1 s at most$/)
    vi.advanceTimersByTime(2000)
    expect(title()).toMatch(/, up 0:00:04, draining for 0 s at most$/)
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
  expect([3, 4, 8, 9].map((most) => shorten('12345678', most))).toEqual([
    '1…8',
    '12…8',
    '12345678',
    '12345678',
  ])
  expect([0, 1, 2].map((most) => shorten('12345678', most))).toEqual(['', '1', '12'])
  expect(
    formatColumns([
      ['a', '1'],
      ['bcd', '22'],
    ]),
  ).toEqual(['a     1', 'bcd  22'])
})
