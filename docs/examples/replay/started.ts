/** What was started, to be stopped in the opposite order: all of it, also when something in between fails. */
export class Started {
  readonly #stops: (() => unknown)[] = []
  #stopped = false

  /** @throws when all has been stopped already; then this is too */
  add<T extends { stop: () => unknown }>(one: T): T {
    this.#stops.push(() => one.stop())
    if (!this.#stopped) return one
    void this.stop().catch(() => undefined)
    throw new Error('it was stopped while it was still starting')
  }

  async stop(): Promise<void> {
    this.#stopped = true
    const errors: unknown[] = []
    for (const stop of this.#stops.splice(0).reverse()) {
      try {
        await stop()
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length > 0) throw errors[0]
  }
}
