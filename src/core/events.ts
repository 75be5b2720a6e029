import { inside } from './ambient.js'

/**
 * Typed events. A listener runs after the state has changed and can't hurt whoever emitted:
 * what it throws or rejects with goes to `onError`, nowhere else.
 *
 * It runs in the course of no request: an alert that it sends is not called off because the client went whose call
 * happened to tell of it.
 */
export class Events<Map extends object> {
  /** Made anew with each change, so that who is being told of something need not be copied. */
  readonly #listeners: { [Name in keyof Map]?: readonly ((payload: Map[Name]) => unknown)[] } = {}
  readonly #onError: (error: unknown, event: keyof Map) => void

  constructor(onError: (error: unknown, event: keyof Map) => void) {
    this.#onError = onError
  }

  /** @returns a function that removes the listener. */
  on<Name extends keyof Map>(name: Name, listener: (payload: Map[Name]) => unknown): () => void {
    // An entry of its own, so that registering one function twice takes two removals.
    const entry = (payload: Map[Name]): unknown => listener(payload)
    this.#listeners[name] = [...(this.#listeners[name] ?? []), entry]
    return () => {
      this.#listeners[name] = this.#listeners[name]?.filter((other) => other !== entry)
    }
  }

  /** Ask before building a payload: without a listener an event costs this one look-up. */
  has(name: keyof Map): boolean {
    const listeners = this.#listeners[name]
    return listeners !== undefined && listeners.length > 0
  }

  emit<Name extends keyof Map>(name: Name, payload: Map[Name]): void {
    const listeners = this.#listeners[name]
    if (listeners === undefined) return
    Object.freeze(payload)
    inside(undefined, () => {
      for (const listener of listeners) this.#tell(listener, payload, name)
    })
  }

  #tell<Name extends keyof Map>(listener: (payload: Map[Name]) => unknown, payload: Map[Name], name: Name): void {
    try {
      const result = listener(payload)
      if (result instanceof Promise) result.catch((error: unknown) => this.#failed(error, name))
    } catch (error) {
      this.#failed(error, name)
    }
  }

  #failed(error: unknown, name: keyof Map): void {
    try {
      this.#onError(error, name)
    } catch {
      // Reporting has failed too; there is nobody left to tell.
    }
  }
}
