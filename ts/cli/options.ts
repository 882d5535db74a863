/** The options of `event-base proxy`: their syntax, whether they can be repeated, and their help. */

/** One option. */
export interface Option {
  /** The placeholder for its value in the help. Missing if the option takes no value. */
  readonly value?: string
  /** Whether it can be given several times. */
  readonly multiple?: true
  /** Its help, in lines of at most 55 characters. */
  readonly help: readonly string[]
}

/** The name of an option, without its dashes. */
export type OptionName =
  | 'listen'
  | 'upstream'
  | 'threads'
  | 'reuse-port'
  | 'max-connections'
  | 'balance'
  | 'addresses'
  | 'lookup-interval'
  | 'connect-timeout'
  | 'idle-timeout'
  | 'half-close-timeout'
  | 'rate'
  | 'total-rate'
  | 'proxy-protocol'
  | 'drain-timeout'
  | 'stats'

/** Every option, in the order of the help. */
export const OPTIONS: Readonly<Record<OptionName, Option>> = {
  listen: {
    value: 'WHERE',
    help: [
      'where to accept: HOST:PORT with a numeric address or',
      'localhost, [IPv6]:PORT, unix:PATH, or fd:N for an',
      'inherited socket that listens already',
    ],
  },
  upstream: {
    value: 'WHERE',
    multiple: true,
    help: [
      'where to forward to: HOST:PORT with an address or a',
      'name, or unix:PATH; repeat it for several upstreams,',
      'and append ,weight=N (1 to 256) for a larger share',
    ],
  },
  threads: { value: 'N', help: ['native threads, or auto: one for each processor', '(default 1)'] },
  'reuse-port': {
    help: [
      'each thread listens at a socket of its own, over which',
      'Linux distributes connections (SO_REUSEPORT); other',
      'processes of this user can then bind the port too',
    ],
  },
  'max-connections': {
    value: 'N',
    help: [
      'the most open connections; further ones wait in the',
      "system's queue (default 0: as many as there are",
      'descriptors)',
    ],
  },
  balance: { value: 'HOW', help: ['round-robin (default) or least-connections'] },
  addresses: {
    value: 'HOW',
    help: [
      'all (default): each address of a name is a server;',
      'one: each connect races all addresses of a name',
    ],
  },
  'lookup-interval': {
    value: 'S',
    help: ['seconds between two look-ups of a name (default 30);', '0: only after a failure'],
  },
  'connect-timeout': { value: 'S', help: ['seconds that a connect may take (default 10);', '0: no limit'] },
  'idle-timeout': {
    value: 'S',
    help: [
      'seconds without a byte in either direction after',
      'which a connection is closed (default 600); 0: never',
    ],
  },
  'half-close-timeout': {
    value: 'S',
    help: [
      'the same where one side has ended its stream, or takes',
      'no bytes (default 600); 0: the idle timeout alone',
    ],
  },
  rate: {
    value: 'BYTES',
    help: ['bytes a second for each connection and direction;', 'K, M and G stand for KiB, MiB and GiB'],
  },
  'total-rate': { value: 'BYTES', help: ['the same for all connections together'] },
  'proxy-protocol': {
    value: '1|2',
    help: ["sends the client's address to upstreams in that", "version of HAProxy's PROXY protocol"],
  },
  'drain-timeout': {
    value: 'S',
    help: ['seconds that connections may take to end after the', 'first signal (default 10)'],
  },
  stats: {
    help: ['reports the traffic on stderr every second: a table', 'on a terminal, else lines of JSON'],
  },
}
