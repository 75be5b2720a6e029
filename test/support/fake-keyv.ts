import type { KeyvLike } from '../../src/policies/cache/second-store.js'
import { gate, type Gate } from './gate.js'

type Mode = 'works' | 'hangs' | 'fails' | 'takes nothing'

/** A Keyv whose store does what the test says; what it holds has been through JSON. */
export class FakeKeyv implements KeyvLike {
  readonly data = new Map<string, string>()
  readonly gets: string[] = []
  readonly sets: { key: string; value: Record<string, unknown>; ttl: number | undefined }[] = []
  mode: Mode = 'works'
  /** What hangs, oldest first: to be let go on, each with what it then does. */
  readonly hung: (Gate<void> & { readonly what: 'get' | 'set'; readonly key: string })[] = []
  #listeners: ((error: unknown) => void)[] = []

  async get(key: string): Promise<unknown> {
    this.gets.push(key)
    await this.#does('get', key)
    const held = this.data.get(key)
    return held === undefined ? undefined : (JSON.parse(held) as unknown)
  }

  async set(key: string, value: unknown, ttl?: number): Promise<boolean> {
    const text = JSON.stringify(value)
    this.sets.push({ key, value: value as Record<string, unknown>, ttl })
    await this.#does('set', key)
    if (this.mode === 'takes nothing') return false
    this.data.set(key, text)
    return true
  }

  delete(key: string): Promise<boolean> {
    return Promise.resolve(this.data.delete(key))
  }

  on(_event: 'error', listener: (error: unknown) => void): this {
    this.#listeners.push(listener)
    return this
  }

  emit(error: unknown): void {
    if (this.#listeners.length === 0) throw error
    for (const listener of this.#listeners) listener(error)
  }

  /** The one value that lies there. */
  get only(): Record<string, unknown> {
    if (this.data.size !== 1) throw new Error(`it holds ${this.data.size}`)
    return JSON.parse([...this.data.values()][0]!) as Record<string, unknown>
  }

  /** Changes what lies under the one key of a value. */
  tamper(change: (envelope: Record<string, unknown>) => unknown): void {
    const [key] = this.data.keys()
    this.data.set(key!, JSON.stringify(change(this.only)))
  }

  /** What hangs goes on, and so does everything from now on. */
  release(): void {
    this.mode = 'works'
    for (const { open } of this.hung.splice(0)) open()
  }

  async #does(what: 'get' | 'set', key: string): Promise<void> {
    if (this.mode === 'fails') throw new Error(`${what} failed`)
    if (this.mode !== 'hangs') return
    const hung = gate()
    this.hung.push({ ...hung, what, key })
    await hung.promise
  }
}
