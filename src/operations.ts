import type { CallOptions } from './core/call.js'
import type { CacheSource } from './core/dump.js'
import { OptionError } from './core/errors.js'
import { callEntries, wrapped, type Operation, type Wrapped } from './core/wrapped.js'
import type { DependencySettings } from './dependency-options.js'
import { operationSettings, type OperationOptions, type OperationSettings } from './operation-options.js'
import { OperationAssembly, type Operable, type Shared } from './operation.js'
import { SecondStore } from './policies/cache/second-store.js'
import { Store } from './policies/cache/store.js'

/** `run` takes the options of a call and of an operation together. */
export type RunOptions<R> = CallOptions & Omit<OperationOptions<[], R>, keyof CallOptions>

/** What operations have of their dependency. */
export interface Wrapping {
  readonly settings: DependencySettings
  /** Made when it is first looked at: not before an operation is used. */
  readonly compartment: Operable
}

type Run = (operation: Operation<[], unknown>, options: CallOptions) => Promise<unknown>

/** The operations of one dependency: each has recoverers of its own, and all share the guards and one store. */
export class Operations implements Shared {
  readonly #dependency: Wrapping
  /** The newest that is cached, and through it all that are: a list, since most have one or two. */
  #cached: OperationAssembly | undefined
  #store: Store | undefined
  #second: SecondStore | undefined
  #unlisten: (() => void) | undefined
  /** What one-off calls of the same name share: their cache. */
  #runs: Map<string, Run> | undefined

  constructor(dependency: Wrapping) {
    this.#dependency = dependency
  }

  get of(): Operable {
    return this.#dependency.compartment
  }

  get store(): Store {
    return (this.#store ??= new Store(this.#dependency.settings.stale))
  }

  get second(): SecondStore | undefined {
    return this.#second
  }

  /** Those whose values can be dumped. */
  get sources(): CacheSource[] {
    const sources: CacheSource[] = []
    for (let one = this.#cached; one !== undefined; one = one.older) sources.unshift(...one.sources)
    return sources
  }

  wrap<A extends unknown[], R>(
    operation: Operation<A, R>,
    options: OperationOptions<A, Awaited<R>>,
  ): Wrapped<A, Awaited<R>> {
    if (typeof operation !== 'function') throw new OptionError('operation', 'must be a function')
    const settings = operationSettings(options, this.#dependency.settings.stale)
    return wrapped(this.#assembly(operation, settings, this.#nameOf(operation, settings)))
  }

  async run<R>(operation: Operation<[], R>, options: RunOptions<Awaited<R>>): Promise<Awaited<R>> {
    const own: Record<string, unknown> = {}
    const ofCall: Record<string, unknown> = {}
    for (const [name, value] of Object.entries(options)) (name in callEntries ? ofCall : own)[name] = value
    const settings = operationSettings(own, this.#dependency.settings.stale)
    const { name } = settings
    if (settings.cache === undefined) {
      const once = new OperationAssembly(this, operation, settings, name ?? (operation.name || 'run'))
      return wrapped<[], Awaited<R>>(once).with(ofCall)()
    }
    if (name === undefined) throw new OptionError('name', 'is required with key')
    const run = this.#runs?.get(name) ?? this.#runOf(name, settings)
    return (await run(operation, ofCall)) as Awaited<R>
  }

  /**
   * The second level is listened to from now on: an error event that nobody hears would end the process.
   * @throws what the store throws when it is listened to
   */
  begin(of: Operable): void {
    const { store } = this.#dependency.settings.stale
    if (store === undefined) return
    this.#second = SecondStore.of(of.clock, store)
    this.#unlisten = this.#second.listen((error) => {
      of.report(error)
    })
  }

  /** Lets go of the second level, once what is to be written there has been, or `timeout` ms have passed. */
  async close(timeout: number): Promise<void> {
    await this.#second?.idle(timeout)
    this.#unlisten?.()
  }

  #assembly<A extends unknown[], R>(operation: Operation<A, R>, settings: OperationSettings, name: string) {
    const assembly = new OperationAssembly(this, operation, settings, name)
    // What contradicts other invariants is told of now.
    if (settings.invariant !== undefined) assembly.assemble()
    if (settings.cache !== undefined) {
      assembly.older = this.#cached
      this.#cached = assembly
    }
    return assembly
  }

  /** One-off calls whose operation differs each time and whose cache is the same. */
  #runOf(name: string, settings: OperationSettings): Run {
    // The operation is the call's only argument, hidden from `key` and `scope`, which take none here.
    const any: Operation<[Operation<[], unknown>], unknown> = (context, operation) => operation(context)
    const shared = wrapped<[Operation<[], unknown>], unknown>(
      this.#assembly(any, settings, this.#nameOf(any, settings)),
    )
    const run: Run = (operation, options) => shared.with(options)(operation)
    ;(this.#runs ??= new Map<string, Run>()).set(name, run)
    return run
  }

  /** Cached operations need a name of their own, or they would share values. */
  #nameOf(operation: { name: string }, { name, cache }: OperationSettings): string {
    const wanted = name ?? (operation.name || 'operation')
    if (cache === undefined || !this.#taken(wanted)) return wanted
    if (name !== undefined)
      throw new OptionError('name', `"${name}" is a cached operation's already; two never share a value`)
    for (let n = 2; ; n++) if (!this.#taken(`${wanted}-${n}`)) return `${wanted}-${n}`
  }

  #taken(name: string): boolean {
    for (let one = this.#cached; one !== undefined; one = one.older) if (one.name === name) return true
    return false
  }
}
