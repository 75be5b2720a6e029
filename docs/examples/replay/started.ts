/** What was started, to be stopped in the opposite order: all of it, also when something in between fails. */
export class Started {
  readonly #stops: (() => unknown)[] = []

  add<T extends { stop: () => unknown }>(one: T): T {
    this.#stops.push(() => one.stop())
    return one
  }

  async stop(): Promise<void> {
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
