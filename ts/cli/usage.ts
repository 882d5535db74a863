/** What the command line says about itself, and how it refuses. */

/** A command line that could not be meant: told on stderr, exit code 2. */
export class UsageError extends Error {}

/** How `event-base` is called. */
export const USAGE = `usage: event-base proxy --listen HOST:PORT --upstream HOST:PORT [options]
       event-base methods
       event-base --help | --version

proxy: forwards TCP connections until SIGINT or SIGTERM, then lets those under way
end, and exits; a second signal ends them at once.
  --listen WHERE          where to listen: HOST:PORT with a numeric address, [IPv6] or
                          localhost; unix:PATH; or fd:N, a socket that listens already
  --upstream WHERE        where to forward to: HOST:PORT with an address or a name, or
                          unix:PATH; give it several times for several upstreams, and
                          append ,weight=N for a larger share
  --threads N             forwards on N native threads, or one for each processor with
                          "auto"; without it, on the main thread
  --balance HOW           round-robin (default) or least-connections
  --connect-timeout S     seconds a connect may take (default 10)
  --idle-timeout S        ends a connection that moves no byte for so many seconds
  --rate BYTES            the most a connection moves in a second, each way; K, M and G
                          stand for KiB, MiB and GiB
  --total-rate BYTES      the same for all connections together
  --proxy-protocol 1|2    tells upstreams where connections come from, in HAProxy's
                          PROXY protocol of that version
  --drain-timeout S       seconds the last connections may take to end (default 10)
  --stats                 shows the traffic: a table on a terminal, else a line of JSON
                          a second, both on stderr

methods: prints this system's backends, best first, with their features.

exit codes: 0 ended as told, 1 could not listen or failed, 2 a command line that
could not be meant

examples:
  event-base proxy --listen 127.0.0.1:8080 --upstream example.org:80
  event-base proxy --listen [::]:5432 --threads 4 --balance least-connections \\
    --upstream db1:5432 --upstream db2:5432,weight=2 --stats
  event-base proxy --listen unix:/run/app.sock --upstream 127.0.0.1:3000 --rate 10M
`
