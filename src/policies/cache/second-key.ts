import { createHash } from 'node:crypto'

const NAMESPACE = 'cofferdam:1'

/** memcached takes 250 bytes; what is left is for the prefix that the store itself puts before a key. */
const LONGEST = 200
const LONGEST_NAME = 50

/** What every store takes as it is. */
const PLAIN = /^[!-~]+$/

// As UTF-16, because in UTF-8 all lone surrogates are the same.
const hashed = (text: string): string => `#${createHash('sha256').update(text, 'utf16le').digest('base64url')}`

/** Colons part the names, and a # marks what is hashed: a name that has one of its own is hashed as well. */
const named = (name: string): string =>
  name.length <= LONGEST_NAME && PLAIN.test(name) && !/[:#]/.test(name) ? name : hashed(name)

/** Keys of one operation in the second level, which it shares with the other processes of the app. */
export class SecondKeys {
  /** Where it is noted since when values count, after a `clear`. */
  readonly cleared: string
  readonly #prefix: string
  readonly #skip: number

  constructor(dependency: string, operation: string) {
    this.#prefix = `${NAMESPACE}:${named(dependency)}:${named(operation)}:`
    this.#skip = `${operation.length}:${operation}`.length
    this.cleared = `${this.#prefix}@cleared`
  }

  /** @param key that of the first level, which begins with the operation's name */
  of(key: string): string {
    const own = key.slice(this.#skip)
    const whole = this.#prefix + own
    return whole.length <= LONGEST && PLAIN.test(own) ? whole : this.#prefix + hashed(own)
  }
}
