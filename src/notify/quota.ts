const MINUTE = 60_000

/** The cap over all dependencies: at most so many messages in any minute. The last one of a minute is kept for a summary. */
export class Quota {
  readonly #perMinute: number
  /** When the messages of the last minute were sent, oldest first. */
  #sent: number[] = []

  constructor(perMinute: number) {
    this.#perMinute = perMinute
  }

  use(now: number): void {
    this.#sent.push(now)
  }

  /** Whether a message of one dependency may go. */
  hasRoom(now: number): boolean {
    this.#forget(now)
    return this.#sent.length < this.#perMinute - 1
  }

  /** When a summary may go. */
  freeAt(now: number): number {
    this.#forget(now)
    return this.#sent.length < this.#perMinute ? now : this.#sent[0]! + MINUTE
  }

  #forget(now: number): void {
    const first = this.#sent.findIndex((at) => at + MINUTE > now)
    this.#sent = first === -1 ? [] : this.#sent.slice(first)
  }
}
