/** What a warning is about. */
export type WarningKind = 'failures' | 'probe' | 'invariant' | 'disabled' | 'injected' | 'parent'

/** Something that people should see although it flips nothing. */
export interface Warning {
  readonly warning: WarningKind
  readonly text: string
  /** Wall time, ms. */
  readonly since: number
}

/** The warnings that stand at present, one of each kind. Telling starts and ends once. */
export class Warnings {
  readonly #standing = new Map<WarningKind, Warning>()
  readonly #tell: (warning: Warning, raised: boolean) => void

  constructor(tell: (warning: Warning, raised: boolean) => void) {
    this.#tell = tell
  }

  get list(): readonly Warning[] {
    return [...this.#standing.values()]
  }

  has(kind: WarningKind): boolean {
    return this.#standing.has(kind)
  }

  /** One that stands already goes on, in other words if need be. */
  raise(kind: WarningKind, text: string, at: number): void {
    const standing = this.#standing.get(kind)
    const warning: Warning = Object.freeze({ warning: kind, text, since: standing?.since ?? at })
    this.#standing.set(kind, warning)
    if (standing === undefined) this.#tell(warning, true)
  }

  clear(kind: WarningKind): void {
    const warning = this.#standing.get(kind)
    if (warning === undefined) return
    this.#standing.delete(kind)
    this.#tell(warning, false)
  }
}
