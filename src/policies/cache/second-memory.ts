import { isLower, type Version } from './version.js'

/** Keys remembered; the one that was heard of longest ago is forgotten first. */
const MOST = 10_000

/** What this process knows of one key, by shared time: it was served, deleted or expired then. */
interface Known {
  start: number
  version: Version | undefined
  gone: number
  /** Deleted, and not merely found missing: it must never be served again. */
  final: boolean
  expired: number
}

/** Why a value of the second level is not served. */
export type Objection = 'gone' | 'older' | 'olderVersion'

/**
 * What the second level of one operation must not bring back: it may be restored from an older dump, or have missed a
 * delete. Bounded; a delete that is forgotten within `staleFor` takes everything of before with it, which is safe.
 */
export class SecondMemory {
  readonly #staleFor: number
  readonly #keys = new Map<string, Known>()
  /** Nothing of the operation that began at or before it counts. */
  #floor = -Infinity

  constructor(staleFor: number) {
    this.#staleFor = staleFor
  }

  get cleared(): number {
    return this.#floor
  }

  objection(key: string, start: number, version: Version | undefined): Objection | undefined {
    if (start <= this.#floor) return 'gone'
    const known = this.#keys.get(key)
    if (known === undefined) return undefined
    if (start <= known.gone) return 'gone'
    if (start < known.start) return 'older'
    return known.version !== undefined && version !== undefined && isLower(version, known.version)
      ? 'olderVersion'
      : undefined
  }

  isExpired(key: string, start: number): boolean {
    return start <= (this.#keys.get(key)?.expired ?? -Infinity)
  }

  saw(key: string, start: number, version: Version | undefined): void {
    const known = this.#of(key, start)
    if (start < known.start) return
    known.start = start
    known.version = version
  }

  delete(key: string, at: number, final: boolean): void {
    const known = this.#of(key, at)
    known.gone = Math.max(known.gone, at)
    if (final) known.final = true
    // A later value may start anew.
    if (known.start <= at) known.version = undefined
  }

  expire(key: string, at: number): void {
    this.#of(key, at).expired = at
  }

  clear(at: number): void {
    this.#floor = Math.max(this.#floor, at)
  }

  #of(key: string, now: number): Known {
    const known = this.#keys.get(key) ?? {
      start: -Infinity,
      version: undefined,
      gone: -Infinity,
      final: false,
      expired: -Infinity,
    }
    this.#keys.delete(key)
    this.#keys.set(key, known)
    if (this.#keys.size > MOST) this.#forgetOldest(now)
    return known
  }

  #forgetOldest(now: number): void {
    for (const [key, { final, gone }] of this.#keys) {
      this.#keys.delete(key)
      if (final && gone > now - this.#staleFor) this.clear(gone)
      return
    }
  }
}
