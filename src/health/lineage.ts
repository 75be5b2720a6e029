import { OptionError } from '../core/errors.js'

/** Who depends on whom, by name; a name may be spoken of before it is registered. */
export class Lineage {
  readonly #parents = new Map<string, readonly string[]>()

  /** @throws OptionError (`ERR_OPTION`) for a cycle; nothing has changed then */
  declare(child: string, parents: readonly string[]): void {
    for (const parent of parents) {
      const way = this.#wayUp(parent, child)
      if (way !== undefined) throw new OptionError('dependsOn', `is a cycle: ${[child, ...way].join(' → ')}`)
    }
    if (parents.length > 0) this.#parents.set(child, parents)
    else this.#parents.delete(child)
  }

  parentsOf(child: string): readonly string[] {
    return this.#parents.get(child) ?? []
  }

  childrenOf(parent: string): string[] {
    return [...this.#parents].filter(([, parents]) => parents.includes(parent)).map(([child]) => child)
  }

  /** The names from `from` up to `to`, if there is a way; each is looked at once, however many ways lead to it. */
  #wayUp(from: string, to: string, seen = new Set<string>()): string[] | undefined {
    if (from === to) return [to]
    if (seen.has(from)) return undefined
    seen.add(from)
    for (const parent of this.parentsOf(from)) {
      const way = this.#wayUp(parent, to, seen)
      if (way !== undefined) return [from, ...way]
    }
    return undefined
  }
}
