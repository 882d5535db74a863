/** The server name in a TLS ClientHello: RFC 8446, sections 4.1.2 and 5.1; RFC 6066, section 3. */

/** What the first bytes of a connection say. */
export type Hello =
  /** They are the beginning of a hello; more of it has to come. */
  | { readonly whole: false }
  /** The hello is there; without a name if the client asks for none. */
  | { readonly whole: true; readonly name: string | undefined }

const HANDSHAKE = 22
const CLIENT_HELLO = 1
const SERVER_NAME = 0
const HOST_NAME = 0

/** The most plaintext in a record. */
const MOST_FRAGMENT = 16_384
/** The longest hello that is looked at. */
const MOST_HELLO = 16_384

/** Bytes before the body of a handshake message: its type, its length. */
const HEADER = 4

/** Takes fields off the front of bytes that are whole. */
class Fields {
  #rest: Buffer

  constructor(bytes: Buffer) {
    this.#rest = bytes
  }

  get empty(): boolean {
    return this.#rest.length === 0
  }

  take(length: number): Buffer {
    if (length > this.#rest.length) throw new Error('not TLS: a field is longer than what holds it')
    const taken = this.#rest.subarray(0, length)
    this.#rest = this.#rest.subarray(length)
    return taken
  }

  /** A number of one or two bytes. */
  number(width: 1 | 2): number {
    return this.take(width).readUIntBE(0, width)
  }

  /** A field behind its length of one or two bytes. */
  vector(width: 1 | 2): Fields {
    return new Fields(this.take(this.number(width)))
  }

  all(): Buffer {
    return this.take(this.#rest.length)
  }
}

/**
 * Reads the name of the server in a ClientHello that may have come in part only, and in several records.
 *
 * @param bytes what the client has sent so far
 * @returns the name in lower case
 * @throws {Error} as soon as it is clear that this is no ClientHello
 */
export function parseServerName(bytes: Buffer): Hello {
  const message = unwrap(bytes)
  if (message === undefined) return { whole: false }
  return { whole: true, name: findName(new Fields(message)) }
}

/** The hello's body out of the records it came in, once all of it is there. What comes behind it is not looked at. */
function unwrap(bytes: Buffer): Buffer | undefined {
  const fragments: Buffer[] = []
  let [count, wanted] = [0, Infinity]
  for (let rest = bytes; rest.length > 0;) {
    if (rest[0] !== HANDSHAKE) throw new Error('not TLS: no handshake')
    // The version of a record is a legacy: 3.1 for a first hello, 3.3 at most.
    if (rest.length > 1 && rest[1] !== 3) throw new Error('not TLS: no such version')
    if (rest.length < 5) break
    const length = rest.readUInt16BE(3)
    if (length === 0 || length > MOST_FRAGMENT) throw new Error('not TLS: no such length of a record')
    const fragment = rest.subarray(5, 5 + length)
    rest = rest.subarray(5 + length)
    if (count === 0 && fragment.length > 0 && fragment[0] !== CLIENT_HELLO) {
      throw new Error('not TLS: no ClientHello')
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
  // A client of TLS 1.2 may have no extensions at all.
  if (hello.empty) return undefined
  const extensions = hello.vector(2)
  if (!hello.empty) throw new Error('not TLS: bytes behind the hello')
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
  if (!extension.empty || names.number(1) !== HOST_NAME) throw new Error('not TLS: no server name')
  const name = names.vector(2).all().toString('latin1').toLowerCase()
  if (!names.empty) throw new Error('not TLS: two server names')
  // A name as DNS has it, without the root's dot; what else is there could not be a key of the routes anyway.
  if (!/^[\w-]+(?:\.[\w-]+)*$/.test(name) || name.length > 253) throw new Error('not TLS: no host name')
  return name
}
