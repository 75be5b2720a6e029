import { tombstone, unwrap, wrap, type Found, type Kept } from './envelope.js'
import type { SecondHost } from './second-host.js'
import type { SecondKeys } from './second-key.js'
import type { Objection, SecondMemory } from './second-memory.js'
import type { SecondStore } from './second-store.js'
import type { Write, WriteKind } from './second-writes.js'
import { isLower, type Version } from './version.js'

/** A store that counts in whole seconds takes less than one for "never". */
const LEAST_TTL = 1_000
/** What memcached still takes for a duration. */
const MOST_TTL = 30 * 24 * 3_600_000

/** What an operation changes in its second level, behind its callers' backs. */
export class SecondChanges {
  readonly #host: SecondHost
  readonly #store: SecondStore
  readonly #keys: SecondKeys
  readonly #memory: SecondMemory

  constructor(host: SecondHost, store: SecondStore, keys: SecondKeys, memory: SecondMemory) {
    this.#host = host
    this.#store = store
    this.#keys = keys
    this.#memory = memory
  }

  /** @param startedAt of the call that produced it, by the monotonic clock */
  keep(key: string, value: unknown, startedAt: number, version: Version | undefined, every?: number): void {
    const start = this.#store.time.at(startedAt)
    const objection = this.#memory.objection(key, start, version)
    if (objection !== undefined) {
      this.#overtaken(objection)
      return
    }
    this.#memory.saw(key, start, version)
    this.#push('value', key, async (late) => {
      const expired = this.#memory.isExpired(key, start)
      await this.#replace(key, { start, value, version, expired, every }, late)
    })
  }

  /** For good, wherever it is read. @param startedAt given for what was gone already when a call asked for it */
  delete(key: string, startedAt?: number): void {
    const final = startedAt === undefined
    const at = final ? this.#store.time.now() : this.#store.time.at(startedAt)
    this.#memory.delete(key, at, final)
    const run = async (late: () => boolean): Promise<void> => {
      const held = await this.#look(key)
      if (late()) return
      if (held === undefined ? !final : held.start > at || (held.gone && !final)) return
      await this.#set(this.#keys.of(key), tombstone(this.#store.writer, at), at)
    }
    if (!final) this.#push('value', key, run)
    else
      this.#push('delete', key, run, () => {
        // Nobody remembers it any more: all that was before it goes along.
        this.#clearedAt(at)
      })
  }

  expire(key: string): void {
    const at = this.#store.time.now()
    this.#memory.expire(key, at)
    this.#push('expire', key, async (late) => {
      const held = await this.#look(key)
      if (held === undefined || late() || held.gone || held.expired || held.start > at) return
      await this.#set(this.#keys.of(key), wrap(held.writer, { ...held, expired: true }), held.start)
    })
  }

  /** All of the operation, for good: readers look when that was. */
  clear(): void {
    this.#clearedAt(this.#store.time.now())
  }

  #clearedAt(at: number): void {
    this.#memory.clear(at)
    const { cleared } = this.#keys
    this.#store.writes.push({
      key: cleared,
      kind: 'clear',
      run: async (late) => {
        const held = unwrap((await this.#store.get([cleared]))[0], Infinity)
        if (late() || (held !== undefined && held.start >= at)) return
        await this.#set(cleared, tombstone(this.#store.writer, at), at)
      },
      failed: () => {
        this.#host.counts.secondFailures++
      },
      dropped: () => undefined,
    })
  }

  async #look(key: string): Promise<Found | undefined> {
    const [raw] = await this.#store.get([this.#keys.of(key)])
    return unwrap(raw, this.#store.time.now())
  }

  /** As far as looking first and writing then allows: older never replaces newer. */
  async #replace(key: string, kept: Kept, late: () => boolean): Promise<void> {
    const { counts } = this.#host
    const { start, version } = kept
    const held = await this.#look(key)
    if (late()) return
    const objection = this.#memory.objection(key, start, version) ?? (held && overtakes(held, kept))
    if (objection !== undefined) {
      this.#overtaken(objection)
      return
    }
    try {
      await this.#set(this.#keys.of(key), wrap(this.#store.writer, kept), start)
    } catch (error) {
      // It answered just now: the value is too large for it, say, or can't be serialized.
      counts.secondFailures++
      this.#store.report(error)
    }
  }

  async #set(key: string, envelope: unknown, start: number): Promise<void> {
    const left = this.#host.staleFor - (this.#store.time.now() - start)
    if (left <= 0) return
    const ttl = Math.min(MOST_TTL, Math.max(LEAST_TTL, Math.ceil(left)))
    await this.#store.set(key, envelope, ttl)
    this.#host.counts.secondWritten++
  }

  #overtaken(objection: Objection): void {
    this.#host.counts.secondOvertaken++
    if (objection === 'olderVersion') this.#host.olderVersion()
  }

  #push(kind: WriteKind, key: string, run: Write['run'], dropped?: () => void): void {
    this.#store.writes.push({
      key: this.#keys.of(key),
      kind,
      run,
      failed: () => {
        this.#host.counts.secondFailures++
      },
      dropped: () => {
        this.#host.counts.secondDropped++
        dropped?.()
      },
    })
  }
}

function overtakes(held: Found, { start, version }: Kept): Objection | undefined {
  if (held.gone) return held.start >= start ? 'gone' : undefined
  if (held.start > start) return 'older'
  return held.version !== undefined && version !== undefined && isLower(version, held.version)
    ? 'olderVersion'
    : undefined
}
