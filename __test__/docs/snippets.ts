/** Compiles and runs the examples of the documentation in a folder that has the package installed. */

import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import ts from 'typescript'

import { ended, PATIENCE, type Ended } from '../support/child.js'
import { commentBlocks, documents, filesBelow, markdownBlocks, root, type Block } from './documents.js'

/** An example that is run. */
export interface Snippet extends Block {
  /** The name of its file in a {@link Workshop}. */
  readonly name: string
  /** Whether it serves until SIGINT: the block is `ts server`. */
  readonly isServer: boolean
  /** What it must print: the `text output` block directly behind it. */
  readonly output: string | undefined
}

/** Every TypeScript block of the documents and of the documentation comments. */
export function snippets(): Snippet[] {
  const sources = [
    ...documents().map(markdownBlocks),
    ...['index.ts', 'net.ts', ...filesBelow('ts', '.ts')].map(commentBlocks),
  ]
  return sources.flatMap((blocks) =>
    blocks.flatMap((block, index) => {
      const [language, ...words] = block.info.split(/\s+/)
      if (language !== 'ts') return []
      const unknown = words.filter((word) => word !== 'server')
      if (unknown.length > 0)
        throw new Error(`${block.file}:${block.line}: unknown word "${unknown.join(' ')}"`)
      const next = blocks[index + 1]
      const output = next?.follows === true && next.info === 'text output' ? next.code : undefined
      const name = `${block.file.replaceAll(/[^\w]/g, '_')}_${block.line}`
      return [{ ...block, name, isServer: words.includes('server'), output }]
    }),
  )
}

/** A temporary folder that has the package and esbuild installed. */
export class Workshop {
  readonly #folder: string = mkdtempSync(join(tmpdir(), 'event-base-docs-'))

  constructor() {
    mkdirSync(join(this.#folder, 'node_modules'))
    symlinkSync(root, join(this.#folder, 'node_modules', 'event-base'))
    symlinkSync(join(root, 'node_modules/esbuild'), join(this.#folder, 'node_modules/esbuild'))
    writeFileSync(join(this.#folder, 'package.json'), '{ "private": true, "type": "module" }\n')
  }

  /** Compiles the examples with the project's settings. Returns the errors of the compiler. */
  compile(all: readonly Snippet[]): string[] {
    const config = ts.getParsedCommandLineOfConfigFile(
      join(root, 'tsconfig.json'),
      {
        rootDir: this.#folder,
        outDir: join(this.#folder, 'out'),
        typeRoots: [join(root, 'node_modules', '@types')],
        declaration: false,
        isolatedDeclarations: false,
        tsBuildInfoFile: join(this.#folder, 'build.info'),
      },
      { ...ts.sys, onUnRecoverableConfigFileDiagnostic: () => {} },
    )
    if (config === undefined) throw new Error('tsconfig.json cannot be read')
    const sources = all.map(({ name, code }) => {
      const file = join(this.#folder, `${name}.ts`)
      // Makes an example without an import a module too.
      writeFileSync(file, `${code}export {}\n`)
      return file
    })
    const program = ts.createProgram(sources, config.options)
    const problems = [...ts.getPreEmitDiagnostics(program), ...program.emit().diagnostics]
    return problems.map(({ file, start, messageText }) => {
      const text = ts.flattenDiagnosticMessageText(messageText, '\n')
      if (file === undefined) return text
      const snippet = all.find(({ name }) => file.fileName === join(this.#folder, `${name}.ts`))
      const line = file.getLineAndCharacterOfPosition(start ?? 0).line + 1
      return snippet ? `${snippet.file}:${snippet.line + line}: ${text}` : `${file.fileName}: ${text}`
    })
  }

  /** Runs an example to its end. */
  run({ name }: Snippet): Promise<Ended> {
    return ended(this.#start(name))
  }

  /**
   * Runs an example that serves: sends bytes, which an echo or a proxy in front of an echo returns, and ends it.
   */
  async serve({ name }: Snippet): Promise<Ended & { readonly echo: string }> {
    const upstream = createServer((peer) => peer.on('error', () => {}).pipe(peer))
    await new Promise<void>((resolve) => {
      upstream.listen(0, '127.0.0.1', resolve)
    })
    const { port } = upstream.address() as AddressInfo
    const child = this.#start(name, { PORT: '0', UPSTREAM_PORT: String(port) })
    const end = ended(child)
    try {
      const echo = await Promise.race([
        listeningPort(child).then((front) => echoOf(front, 'some bytes\n')),
        end.then(({ stderr }) => Promise.reject(new Error(`the server ended by itself: ${stderr}`))),
      ])
      child.kill('SIGINT')
      return { echo, ...(await end) }
    } finally {
      child.kill('SIGKILL')
      upstream.close()
    }
  }

  #start(name: string, env: NodeJS.ProcessEnv = {}): ChildProcess {
    return spawn(process.execPath, [join(this.#folder, 'out', `${name}.js`)], {
      cwd: this.#folder,
      // A device that every machine has and that epoll accepts.
      env: { ...process.env, DEVICE: '/dev/random', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: PATIENCE,
      killSignal: 'SIGKILL',
    })
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** The port at the end of the first line that a server prints. */
function listeningPort(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    let text = ''
    child.stdout?.on('data', (chunk: string) => {
      text += chunk
      const port = /(\d+)\n/.exec(text)?.[1]
      if (port !== undefined) resolve(Number(port))
    })
  })
}

/** The answer to `text`, until the server closes. */
function echoOf(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const client = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    let answer = ''
    client.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk))
    client.on('error', reject)
    client.on('end', () => resolve(answer))
    client.end(text)
  })
}
