/** The server name in a TLS ClientHello: RFC 8446, sections 4.1.2 and 5.1; RFC 6066, section 3. */

/** The result of parsing the first bytes of a connection. */
export type Hello =
  /** They are the beginning of a hello, which is incomplete. */
  | { readonly whole: false }
  /** The hello is complete; without a name if the client requests none. */
  | { readonly whole: true; readonly name: string | undefined }

const HANDSHAKE = 22
const CLIENT_HELLO = 1
const SERVER_NAME = 0
const HOST_NAME = 0

/** The maximum plaintext of a record. */
const MOST_FRAGMENT = 16_384
/** The longest hello that is parsed. */
const MOST_HELLO = 16_384

/** Bytes of the header of a handshake message: its type and length. */
const HEADER = 4

/** Reads fields from complete bytes. */
class Fields {
  #rest: Buffer

  constructor(bytes: Buffer) {
    this.#rest = bytes
  }

  get empty(): boolean {
    return this.#rest.length === 0
  }

  take(length: number): Buffer {
    if (length > this.#rest.length) throw new Error('not TLS: a field is longer than its container')
    const taken = this.#rest.subarray(0, length)
    this.#rest = this.#rest.subarray(length)
    return taken
  }

  /** A number of one or two bytes. */
  number(width: 1 | 2): number {
    return this.take(width).readUIntBE(0, width)
  }

  /** A field after its length of one or two bytes. */
  vector(width: 1 | 2): Fields {
    return new Fields(this.take(this.number(width)))
  }

  all(): Buffer {
    return this.take(this.#rest.length)
  }
}

/**
 * Reads the server name in a ClientHello, which may be incomplete and in several records.
 *
 * @param bytes what the client has sent so far
 * @returns the name in lower case
 * @throws {Error} if the bytes cannot be a ClientHello
 */
export function parseServerName(bytes: Buffer): Hello {
  const message = unwrap(bytes)
  if (message === undefined) return { whole: false }
  return { whole: true, name: findName(new Fields(message)) }
}

/** The body of the hello from its records, if it is complete. Bytes after it are ignored. */
function unwrap(bytes: Buffer): Buffer | undefined {
  const fragments: Buffer[] = []
  let [count, wanted] = [0, Infinity]
  for (let rest = bytes; rest.length > 0;) {
    if (rest[0] !== HANDSHAKE) throw new Error('not TLS: not a handshake')
    // The legacy version of a record: 3.1 for a first hello, 3.3 at most.
    if (rest.length > 1 && rest[1] !== 3) throw new Error('not TLS: unknown version')
    if (rest.length < 5) break
    const length = rest.readUInt16BE(3)
    if (length === 0 || length > MOST_FRAGMENT) throw new Error('not TLS: invalid length of a record')
    const fragment = rest.subarray(5, 5 + length)
    rest = rest.subarray(5 + length)
    if (count === 0 && fragment.length > 0 && fragment[0] !== CLIENT_HELLO) {
      throw new Error('not TLS: not a ClientHello')
    }
    fragments.push(fragment)
    count += fragment.length
    if (wanted === Infinity && count >= HEADER) wanted = HEADER + bodyLength(Buffer.concat(fragments))
    if (count >= wanted) return Buffer.concat(fragments).subarray(HEADER, wanted)
  }
  return undefined
}

function bodyLength(message: Buffer): number {
  const length = message.readUIntBE(1, 3)
  if (length > MOST_HELLO) throw new Error('the hello is too long')
  return length
}

function findName(hello: Fields): string | undefined {
  hello.take(2 + 32) // the legacy version, the random bytes
  hello.vector(1) // the legacy session
  hello.vector(2) // the cipher suites
  hello.vector(1) // the compression methods
  // A TLS 1.2 client may send no extensions.
  if (hello.empty) return undefined
  const extensions = hello.vector(2)
  if (!hello.empty) throw new Error('not TLS: bytes after the hello')
  let name: string | undefined
  while (!extensions.empty) {
    const kind = extensions.number(2)
    const extension = extensions.vector(2)
    if (kind !== SERVER_NAME) continue
    if (name !== undefined) throw new Error('not TLS: two server names')
    name = readName(extension)
  }
  return name
}

function readName(extension: Fields): string {
  const names = extension.vector(2)
  if (!extension.empty || names.number(1) !== HOST_NAME) throw new Error('not TLS: invalid server name')
  const name = names.vector(2).all().toString('latin1').toLowerCase()
  if (!names.empty) throw new Error('not TLS: two server names')
  // A DNS name without a trailing dot; other names cannot be keys of the routes.
  if (!/^[\w-]+(?:\.[\w-]+)*$/.test(name) || name.length > 253) throw new Error('not TLS: invalid host name')
  return name
}
