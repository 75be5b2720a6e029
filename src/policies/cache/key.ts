import { createHash } from 'node:crypto'

/** Longer ones are kept as a hash, made longer than any key that is kept as it is, so that the two can't meet. */
const LONGEST = 256
const HASHED = '#'.repeat(LONGEST)

/** Whose data a cached value is: everybody's, or whoever the function names from the arguments. */
export type Scope<A extends unknown[]> = 'public' | { of(...args: A): string }['of']

const MOST_KNOWN = 16_384

// As UTF-16, because in UTF-8 all lone surrogates are the same.
const short = (key: string): string =>
  key.length > LONGEST ? HASHED + createHash('sha256').update(key, 'utf16le').digest('base64') : key

/** A whole key, and whether it has been asked for again. */
interface Known {
  whole: string
  again: boolean
}

/**
 * The same string as the engine keeps it for names of properties. What a `+` makes is compared with others character by
 * character, in a call out of compiled code, wherever two meet in one bucket of a Map. It takes 1.5 µs, so it is for
 * keys that come back.
 */
const internalized = (text: string): string => Object.keys({ [text]: 0 })[0]!

function wrong(problem: string, got: unknown): TypeError {
  // An async function's rejection would be nobody's, and end the process.
  if (got instanceof Promise) got.catch(() => undefined)
  return new TypeError(`${problem}, got ${got instanceof Promise ? 'a promise' : typeof got}`)
}

/**
 * Makes cache keys: the operation's name, the scope and the key, each with its length in front, so that no two
 * different triples can ever meet.
 */
export class KeyMaker {
  readonly #key: (...args: never[]) => unknown
  readonly #scope: 'public' | ((...args: never[]) => unknown)
  /** What each key of a dump goes without. */
  readonly #prefix: string
  /**
   * Whole keys by the part that the caller's function gave. Joining and hashing a new string costs 130 ns a call,
   * looking up one that is there 45; bounded, and emptied when full.
   */
  readonly #known = new Map<string, Known>()

  constructor(
    operation: string,
    key: (...args: never[]) => unknown,
    scope: 'public' | ((...args: never[]) => unknown),
  ) {
    this.#key = key
    this.#scope = scope
    this.#prefix = `${operation.length}:${operation}`
    if (scope === 'public') this.#prefix += 'p:'
  }

  /**
   * @returns undefined when this call is not to be cached
   * @throws whatever the functions throw, and a TypeError for a key or scope that is not a string
   */
  of(args: readonly unknown[]): string | undefined {
    const key = this.#key(...(args as never[]))
    if (key === undefined) return undefined
    if (typeof key !== 'string') throw wrong('key: must return a string or undefined', key)
    if (this.#scope === 'public') {
      const known = this.#known.get(key)
      return known?.again === true ? known.whole : this.#learn(key, known)
    }
    const scope = this.#scope(...(args as never[]))
    if (typeof scope !== 'string') throw wrong('scope: must return a string', scope)
    return scope === '' ? undefined : `${this.#prefix}s${scope.length}:${scope}${short(key)}`
  }

  /** A whole key as it goes into a dump: without what all keys of the operation have in common. */
  shorten(whole: string): string {
    return whole.slice(this.#prefix.length)
  }

  /** The other way round. @returns undefined for what is no key of an operation that is scoped like this one */
  lengthen(short: unknown): string | undefined {
    if (typeof short !== 'string') return undefined
    if (this.#scope !== 'public') {
      const length = /^s([1-9]\d*):/.exec(short)
      if (length === null || short.length < length[0].length + Number(length[1])) return undefined
    }
    return this.#prefix + short
  }

  #learn(key: string, known: Known | undefined): string {
    if (known !== undefined) {
      known.again = true
      return (known.whole = internalized(known.whole))
    }
    if (key.length > LONGEST) return this.#prefix + short(key)
    if (this.#known.size >= MOST_KNOWN) this.#known.clear()
    const whole = this.#prefix + key
    this.#known.set(key, { whole, again: false })
    return whole
  }
}
