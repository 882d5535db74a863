// A proxy with a buffer event on each side of a connection. It can be given a fault, for the proof of the verdict.
import { EventBase } from '../../index.js'
import { forwardByStreams } from './forward.js'
import { HOST, ready } from './program.js'

const base = new EventBase()
/** Chunks that are still to be changed. A receiver may leave before it reads one of them. */
let planted = 0

/** Changes one bit of a chunk, if the fault is planted. */
function touch(chunk: Buffer): void {
  const last = chunk.length - 1
  if (planted === 0 || last < 100) return
  planted -= 1
  chunk.writeUInt8(chunk.readUInt8(last) ^ 1, last)
}

const place = { host: HOST, port: 0 }
const plain = forwardByStreams(base, place, { touch })
const limited = forwardByStreams(base, place, { rate: 4 * 2 ** 20 })

ready(
  [
    { target: plain.address as { host: string; port: number }, terms: 'plain' },
    { target: limited.address as { host: string; port: number }, terms: 'limited' },
  ],
  { plant: () => void (planted = 50) },
)
await base.run()
