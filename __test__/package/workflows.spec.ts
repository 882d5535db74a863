/** The workflows of the public CI: what they run, and with which permissions. */

import { readdirSync, readFileSync } from 'node:fs'

import { parseTriple } from '@napi-rs/cli'
import { describe, expect, it } from 'vitest'

import { platforms, readManifest } from '../../scripts/lib/platforms.js'

const folder = new URL('../../.github/workflows/', import.meta.url)
const files = readdirSync(folder)
const workflows = files.map((file) => [file, readFileSync(new URL(file, folder), 'utf8')] as const)

/** The names of the actions and workflows that a workflow uses, with the comments behind them. */
function uses(text: string): string[] {
  return [...text.matchAll(/^\s*(?:- )?uses:\s*(.*)$/gm)].map(([, name = '']) => name)
}

/** The jobs of a workflow: the name and the text of each. */
function jobs(text: string): (readonly [string, string])[] {
  const part = text.split(/^jobs:\n/m)[1] ?? ''
  return part
    .split(/^ {2}(?=[\w-]+:\n)/m)
    .slice(1)
    .map((job) => [job.slice(0, job.indexOf(':')), job] as const)
}

/** The permissions of a job, such as `contents: read`. */
function permissions(job: string): string[] {
  const lines = /^ {4}permissions:\n((?: {6}.*\n)*)/m.exec(job)?.[1] ?? ''
  return lines.split('\n').flatMap((line) => line.trim() || [])
}

/** The scripts of a workflow: a line, or a block that is indented further than its key. */
function scriptsOf(text: string): string[] {
  const blocks = text.matchAll(/^( *)(?:- )?run: [|>][+-]?\n((?:\1 {2,}.*\n|\n)*)/gm)
  const lines = text.matchAll(/^ *(?:- )?run: (?![|>])(.*)$/gm)
  return [...[...blocks].map(([, , block = '']) => block), ...[...lines].map(([, line = '']) => line)]
}

it('there are workflows, with jobs that use actions', () => {
  expect(files).toContain('release.yml')
  for (const [, text] of workflows) {
    expect(jobs(text).length).toBeGreaterThan(1)
    expect(uses(text).length).toBeGreaterThan(1)
  }
})

describe.each(workflows)('%s', (_file, text) => {
  it('pins every action by a full commit, with its version as a comment', () => {
    const loose = uses(text).filter(
      (name) => !name.startsWith('./') && !/^[\w.-]+\/[\w./-]+@[0-9a-f]{40} # \S/.test(name),
    )
    expect(loose).toEqual([])
  })

  it('has no permissions but those that a job states', () => {
    expect(text).toMatch(/^permissions: \{\}$/m)
    for (const [name, job] of jobs(text)) expect(permissions(job), name).toContain('contents: read')
  })

  it('leaves no credentials in a checkout', () => {
    const checkouts = text.split(/^ *- uses: actions\/checkout@/m).slice(1)
    for (const step of checkouts) expect(step.split(/^ *- /m)[0]).toContain('persist-credentials: false')
  })

  it('writes no expression into a script except the values of its own matrix', () => {
    const scripts = scriptsOf(text)
    expect(scripts.length).toBeGreaterThan(0)
    const expressions = scripts.flatMap((script) => script.match(/\$\{\{.*?\}\}/g) ?? [])
    expect(expressions.filter((one) => !/^\$\{\{ matrix\.\w+ \}\}$/.test(one))).toEqual([])
  })
})

it('an action has one version in all workflows', () => {
  const versions = new Map<string, Set<string>>()
  for (const name of workflows.flatMap(([, text]) => uses(text))) {
    const [action = '', version = ''] = name.split('@')
    versions.set(action, (versions.get(action) ?? new Set()).add(version))
  }
  expect([...versions].filter(([, found]) => found.size > 1)).toEqual([])
})

it('the addon of every platform is built for its target and uploaded', async () => {
  const manifest = await readManifest()
  const uploads = workflows
    .flatMap(([, text]) => jobs(text))
    .filter(([, job]) => job.includes('actions/upload-artifact@'))
    .map(([, job]) => [/^ *name: bindings-(.*)$/m.exec(job)?.[1], job] as const)
  const inMatrix = uploads
    .filter(([name]) => name === '${{ matrix.platform }}')
    .flatMap(([, job]) => [...job.matchAll(/^ *- platform: (\S+)\n *target: (\S+)$/gm)])
  for (const [, platform, target = ''] of inMatrix) {
    expect(parseTriple(target).platformArchABI).toBe(platform)
  }
  const names = uploads.map(([name]) => name).filter((name) => name !== '${{ matrix.platform }}')
  expect([...names, ...inMatrix.map(([, platform]) => platform)].sort()).toEqual(platforms(manifest).sort())
})

it('only the job that publishes has more than the permission to read', () => {
  const more = workflows.flatMap(([file, text]) =>
    jobs(text).flatMap(([name, job]) => permissions(job).map((one) => `${file} ${name} ${one}`)),
  )
  expect(more.filter((one) => !one.endsWith(' contents: read'))).toEqual([
    'release.yml publish id-token: write',
  ])
})
