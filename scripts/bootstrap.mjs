// Runs `npm start` and `npm test` on a fresh clone, with only Node and Rust installed.
// This is JavaScript, because no package that runs TypeScript is installed yet.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')

/** The script of each job, which runs after dependencies are installed and the build is current. */
const jobs = {
  start: ['examples/main-job.ts'],
  test: ['scripts/test.ts'],
}

/** @param {string} message */
function fail(message) {
  console.error(message)
  process.exit(1)
}

/** @param {string} file */
function readJson(file) {
  return JSON.parse(readFileSync(join(root, file), 'utf8'))
}

function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const supported = (major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22
  if (!supported) {
    fail(
      `Node ${process.versions.node} is not supported; ${readJson('package.json').engines.node} is needed.`,
    )
  }
}

function requireRust() {
  if (spawnSync('cargo', ['--version'], { stdio: 'ignore' }).status !== 0) {
    fail('cargo was not found. Install Rust (1.88 or newer) from https://rustup.rs and open a new shell.')
  }
}

/** Whether node_modules has the packages of the lock file, according to npm's record. */
function dependenciesAreCurrent() {
  const record = 'node_modules/.package-lock.json'
  if (!existsSync(join(root, record))) return false
  const installed = readJson(record).packages
  const wanted = Object.entries(readJson('package-lock.json').packages)
  return wanted.every(([path, entry]) => {
    if (path === '') return true
    const found = installed[path]
    // Optional packages for other platforms are in the lock file and not installed.
    if (found === undefined) return entry.optional === true
    return found.version === entry.version && found.integrity === entry.integrity
  })
}

/**
 * Runs a command on this terminal and ends the process if it fails.
 * @param {string} command
 * @param {string[]} args
 */
function step(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (error) fail(`${command} could not be started: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}

const [job = '', ...args] = process.argv.slice(2)
const script = jobs[job]
if (script === undefined) fail(`usage: node scripts/bootstrap.mjs ${Object.keys(jobs).join('|')} [arguments]`)

requireNode()
requireRust()
if (!dependenciesAreCurrent()) step('npm', ['ci'])
step('npm', ['run', '--silent', 'build'])

const child = spawn(process.execPath, ['--import', 'tsx', ...script, ...args], {
  cwd: root,
  stdio: 'inherit',
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.on('error', (error) => fail(error.message))
child.on('exit', (code, signal) => {
  if (signal === null) process.exit(code ?? 1)
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
})
