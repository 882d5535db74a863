// A proxy of `listen`, `connect` and `relay` on one base inside the host. Arguments: the ports of its upstreams. SIGTERM
// ends it. It is JavaScript and uses `dist`, because a process is started for each fault.
import { EV, EventBase } from '../../../../dist/index.js'
import { connect, listen, relay, socket } from '../../../../dist/net.js'

const HOST = '127.0.0.1'

function report({ message }) {
  console.error(message)
}

process.once('uncaughtException', (error) => {
  report(error)
  process.exit(1)
})

const ports = process.argv.slice(2).map(Number)
const base = new EventBase()
const open = new Set()
let next = 0

/** Closes a connection that was not served, with a reset. */
function refuse(fd) {
  try {
    socket.setOption(fd, 'linger', 0)
    socket.close(fd)
  } catch (error) {
    report(error)
  }
}

async function connectToOne() {
  let failure
  const first = next++
  for (let attempt = 0; attempt < ports.length; attempt += 1) {
    const port = ports[(first + attempt) % ports.length]
    try {
      return await connect(base, { host: HOST, port }, { timeout: 2000 })
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

async function serve(fd) {
  let upstream
  try {
    upstream = await connectToOne()
  } catch (error) {
    report(error)
    return refuse(fd)
  }
  try {
    const made = relay(base, fd, upstream, {}, ({ error }) => {
      open.delete(made)
      if (error !== undefined) report(error)
    })
    open.add(made)
  } catch (error) {
    // The relay has closed both.
    report(error)
  }
}

const listener = listen(base, { host: HOST, port: 0, onError: report }, (fd) => void serve(fd))
const term = base.newSignal('SIGTERM', () => base.close())
term.add()
// The loop runs when its first callback does.
base.once(-1, EV.TIMEOUT, () => console.log(`listening at ${HOST}:${listener.address.port}`))
for (;;) {
  try {
    await base.run()
    break
  } catch (error) {
    // ENOMEM of poll(2) and select(2): the wait may succeed later.
    if (error.code !== 'ENOMEM') throw error
    report(error)
  }
}
