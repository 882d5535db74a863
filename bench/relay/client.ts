/** The near end, in a process of its own: sends what the bench asks for and takes the time. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Done, Task } from './messages.js'

/** Bytes in one write of bulk data. */
const CHUNK = 64 * 1024

process.on('disconnect', () => process.exit())
process.on('message', (task: Task) => {
  void answer(task)
})

async function answer(task: Task): Promise<void> {
  const done = await perform(task)
  process.send?.(done)
}

async function perform(task: Task): Promise<Done> {
  const sockets = await Promise.all(Array.from({ length: task.connections }, () => open(task.port)))
  const start = performance.now()
  const work = task.message === 0 ? sendAll : sendMessages
  const counts = await Promise.all(sockets.map((socket) => work(socket, task)))
  const milliseconds = performance.now() - start
  for (const socket of sockets) socket.destroy()
  return { milliseconds, received: counts.reduce((sum, count) => sum + count, 0) }
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true })
  await once(socket, 'connect')
  return socket
}

async function sendAll(socket: Socket, { bytes }: Task): Promise<number> {
  const chunk = Buffer.alloc(CHUNK, 'event')
  const reply = text(socket)
  for (let sent = 0; sent < bytes; sent += CHUNK) {
    if (!socket.write(sent + CHUNK <= bytes ? chunk : chunk.subarray(0, bytes - sent))) {
      await once(socket, 'drain')
    }
  }
  socket.end()
  return Number(await reply)
}

function sendMessages(socket: Socket, { bytes, message }: Task): Promise<number> {
  const payload = Buffer.alloc(message, 'event')
  return new Promise((resolve, reject) => {
    let received = 0
    socket.on('error', reject)
    socket.on('data', (data) => {
      received += data.length
      if (received >= bytes) resolve(received)
      else if (received % message === 0) socket.write(payload)
    })
    socket.write(payload)
  })
}
