// A process that runs specs in the copy of the repository, on request of `mutants-ts.ts`. Its vitest stays ready, because
// starting it takes longer than most specs.
import { createVitest, type TestModule, type TestSpecification } from 'vitest/node'

import { SETTINGS, type Answer, type Request } from './mutants-specs.js'

const [, , folder = ''] = process.argv
process.chdir(folder)
const vitest = await createVitest('test', {
  root: folder,
  config: SETTINGS,
  watch: false,
  // Without one, vitest uses its own, which expects to be started by its command.
  reporters: [{}],
  maxWorkers: 1,
  fileParallelism: false,
})
const specifications = new Map<string, TestSpecification>()
for (const one of await vitest.globTestSpecifications()) {
  specifications.set(nameOf(one), one)
}

/** The name of a spec in a request. */
function nameOf({
  project,
  moduleId,
}: {
  readonly project: { readonly name: string }
  readonly moduleId: string
}): string {
  return `${project.name} ${moduleId.slice(folder.length + 1)}`
}

function errorsOf(module: TestModule): readonly { readonly message?: string }[] {
  return [
    ...module.errors(),
    ...[...module.children.allTests('failed')].flatMap((test) => test.result().errors ?? []),
  ]
}

/** Milliseconds of a spec: its imports, hooks and tests. */
function durationOf(module: TestModule): number {
  const { collectDuration, duration, prepareDuration, setupDuration } = module.diagnostic()
  return Math.round(collectDuration + duration + prepareDuration + setupDuration)
}

async function runSpecs({ specs, changed, testLimit }: Request): Promise<Answer> {
  for (const file of changed) vitest.invalidateFile(file)
  // vitest counts the failures of all runs when it decides whether to go on after a failure.
  vitest.state.filesMap.clear()
  vitest.state.errorsSet.clear()
  const selected = specs.flatMap((spec) => specifications.get(spec) ?? [])
  if (selected.length < specs.length) throw new Error(`a spec of ${specs.join(', ')} does not exist`)
  if (testLimit !== undefined) {
    for (const { project } of selected) {
      project.config.testTimeout = testLimit
      project.config.hookTimeout = testLimit
    }
  }
  const { testModules, unhandledErrors } = await vitest.runTestSpecifications(selected)
  const broken = testModules.find((module) => errorsOf(module).length > 0)
  const durations = Object.fromEntries(testModules.map((module) => [nameOf(module), durationOf(module)]))
  if (broken === undefined && unhandledErrors.length === 0) return { ending: 'passed', durations }
  const [first] = [...(broken === undefined ? [] : errorsOf(broken)), ...unhandledErrors] as {
    message?: string
  }[]
  const message = first?.message ?? 'it failed without a message'
  // An error that no test caused belongs to the spec that ran last.
  const last = testModules.findLast((module) => module.state() !== 'queued' && module.state() !== 'skipped')
  const spec = broken ?? last
  return {
    ending: /timed out/.test(message) ? 'timeout' : 'failed',
    spec: spec === undefined ? (specs[0] ?? '') : nameOf(spec),
    message,
    durations,
  }
}

process.on('message', (request: Request) => {
  void runSpecs(request).then(
    (answer) => process.send?.(answer),
    (error: unknown) => process.send?.({ ending: 'broken', message: String(error) } satisfies Answer),
  )
})
process.send?.([...specifications.keys()])
