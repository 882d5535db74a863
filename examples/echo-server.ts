// An echo server on raw descriptors: `echo-server.ts [PORT]`, until SIGINT.
import { EV, EventBase } from '../index.js'
import { listen, socket } from '../net.js'

const base = new EventBase()
const buffer = Buffer.alloc(65_536)

/** Answers what has come; `false` at the end of the connection. */
function echo(fd: number): boolean {
  for (;;) {
    const count = socket.read(fd, buffer)
    if (count < 0) return true
    if (count === 0) return false
    // A client that does not read is not worth waiting for in an example.
    if (socket.write(fd, buffer, 0, count) < count) return false
  }
}

const listener = listen(base, { host: '127.0.0.1', port: Number(process.argv[2] ?? 0) }, (fd) => {
  const event = base.newEvent(fd, EV.READ | EV.PERSIST, () => {
    let goesOn = false
    try {
      goesOn = echo(fd)
    } finally {
      if (!goesOn) {
        event.close()
        socket.close(fd)
      }
    }
  })
  event.add()
})

process.once('SIGINT', () => base.loopExit())
console.log('listening at', listener.address.port)
await base.run()
base.close()
