// Runs random programs on the engine and on the system's libevent and compares them.
// Arguments are passed to the program: `npm run differential -- --help`.
import { peersManifest, requireLibevent } from './lib/libevent.js'
import { main, run } from './lib/run.js'

const profile = 'differential'

await main(async () => {
  if (process.platform !== 'linux') throw new Error('The differential runs on Linux only: it needs epoll')
  await requireLibevent()
  const cargo = ['run', '--quiet', '--manifest-path', peersManifest, '--profile', profile, '--bin', profile]
  const { code } = await run('cargo', [...cargo, '--', ...process.argv.slice(2)])
  return code === 0
})
