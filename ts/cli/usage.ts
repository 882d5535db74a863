/** What the command line says about itself, and how it refuses. */

/** A command line that could not be meant: told on stderr, exit code 2. */
export class UsageError extends Error {}

/** How `event-base` is called. */
export const USAGE = `usage: event-base proxy --listen HOST:PORT --upstream HOST:PORT [options]
       event-base methods
       event-base --help

proxy: forwards TCP connections until SIGINT or SIGTERM, then lets those under way
end, and exits; a second signal ends them at once.
  --listen HOST:PORT      where to listen: a numeric address, [IPv6] or localhost
  --upstream HOST:PORT    where to forward to: an address or a name
  --idle-timeout SECONDS  ends a connection that moves no byte for so long
  --drain-timeout SECONDS how long the last connections may take to end (default 10)
  --stats                 tells the traffic once a second on stderr, and the sums at the end

methods: prints this system's backends, best first, with their features.
`

/** `HOST:PORT`, `[IPv6]:PORT`. */
export function parseHostAndPort(option: string, text: string | undefined): { host: string; port: number } {
  if (text === undefined) throw new UsageError(`${option} is missing`)
  const match = /^(?:\[(?<six>[^\]]+)\]|(?<host>[^:]+)):(?<port>\d{1,5})$/.exec(text)
  const host = match?.groups?.['six'] ?? match?.groups?.['host']
  const port = Number(match?.groups?.['port'])
  if (host === undefined || port > 65_535) throw new UsageError(`${option} must be HOST:PORT, not "${text}"`)
  return { host, port }
}

/** Seconds, as milliseconds. */
export function parseSeconds(option: string, text: string): number {
  const seconds = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (!(seconds <= 1e9)) throw new UsageError(`${option} must be a number of seconds, not "${text}"`)
  return seconds * 1000
}

/** The opposite of {@link parseHostAndPort}. */
export function formatHostAndPort({ host, port }: { host: string; port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
