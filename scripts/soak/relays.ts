// A proxy that listens, connects and relays on one base. It can be given a fault, for the proof of the verdict.
import { EventBase } from '../../index.js'
import { socket } from '../../net.js'
import { forwardByRelays } from './forward.js'
import { HOST, ready, RELAY_TERMS, type Fault } from './program.js'

const base = new EventBase()
const kept: unknown[] = []

const entrances = (['plain', 'limited', 'idle'] as const).map((terms) => {
  const { address } = forwardByRelays(base, { host: HOST, port: 0 }, RELAY_TERMS[terms])
  return { target: address as { host: string; port: number }, terms }
})

function plant(fault: Fault, bytes: number): void {
  if (fault === 'descriptor') kept.push(socket.pair())
  if (fault === 'memory') kept.push(Buffer.alloc(bytes, 1))
  if (fault === 'spin') {
    const event = base.newTimer(() => event.add(0))
    event.add(0)
  }
}

ready(entrances, { plant })
await base.run()
