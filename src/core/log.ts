const MOST = 1_000

/** What was done, newest last; at most the last 1,000. */
export class Log<Entry extends object> {
  #entries: Readonly<Entry>[] = []

  add(entry: Entry): void {
    this.#entries.push(Object.freeze(entry))
    // Cut in halves, so that adding stays cheap.
    if (this.#entries.length >= 2 * MOST) this.#entries = this.#entries.slice(-MOST)
  }

  list(fits: (entry: Readonly<Entry>) => boolean = () => true): readonly Readonly<Entry>[] {
    return this.#entries.filter(fits).slice(-MOST)
  }
}
