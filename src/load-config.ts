import * as v from 'valibot'
import { OptionError } from './core/errors.js'
import { group, named, parse } from './core/options.js'
import type { DependencyOptions } from './dependency-options.js'
import { createPool, type Pool } from './pool.js'
import { createRegistry, type Registry, type RegistryOptions } from './registry.js'
import { createBudgets, type Budgets, type BudgetsOptions } from './request/budgets.js'

/** The names under one part of a file, as far as the compiler knows them. */
type Names<File, Part extends string> = File extends { readonly [P in Part]: infer Of }
  ? Extract<keyof Of, string>
  : string

type BudgetsOf<File> = unknown extends File
  ? Budgets | undefined
  : File extends { readonly budgets: { readonly classes: infer Of } }
    ? Budgets<Extract<keyof Of, string>>
    : Budgets | undefined

/** What a file can't say. `defaults` are those that need code; the file's own go with them. */
export interface ConfigOptions<File = unknown> extends RegistryOptions {
  /** Functions, invariants and pools of dependencies in the file, by name. */
  code?: { readonly [Name in Names<File, 'dependencies'>]?: DependencyOptions }
}

/** What was made of a file. */
export interface Loaded<File = unknown> {
  readonly registry: Registry
  /** By name. */
  readonly pools: Readonly<Record<Names<File, 'pools'>, Pool>>
  /** `undefined` when the file has none. */
  readonly budgets: BudgetsOf<File>
}

const options = named(v.unknown(), 'options')
/** Only what a file may name: what is said is checked by whoever makes it of that. */
const schema = group({
  defaults: v.optional(options),
  pools: v.optional(named(group({ slots: v.unknown() }), 'pools')),
  budgets: v.optional(group({ slots: v.unknown(), classes: v.unknown(), otherwise: v.optional(v.unknown()) })),
  dependencies: v.optional(named(options, 'dependencies')),
})
const codeSchema = named(options, 'code')

type Group = Record<string, unknown>
type Pools = ReadonlyMap<string, Pool>

const isGroup = (given: unknown): given is Group => v.is(options, given)

/**
 * Makes a registry with its dependencies, pools and budgets from a plain object: a parsed JSON file with `defaults`,
 * `pools`, `budgets` and `dependencies`, each optional, and each with the options that `createRegistry`, `createPool`,
 * `createBudgets` and `registry.dependency` take. A dependency names its pool (`bulkhead: { pool: 'db' }`). What JSON can't
 * hold stays in `code`, and each option is said in one of the two.
 *
 * @throws OptionError (`ERR_OPTION`) whose path is the place in the file; nothing is left of what was made until then
 * @example
 * const { registry, pools, budgets } = loadConfig(JSON.parse(await readFile('health.json', 'utf8')), {
 *   code: { 'zdz-feed': { probe: { run: ({ signal }) => fetch(url, { signal }) } } },
 * })
 */
export function loadConfig<const File>(file: File, options: ConfigOptions<NoInfer<File>> = {}): Loaded<File> {
  // A file that is no object has no path in it to name.
  const given = parse(schema, parse(named(v.unknown(), 'parts'), file, 'file'))
  const { code, defaults = {}, ...others } = options
  const { dependencies = {} } = given
  const codes = new Map(Object.entries(parse(codeSchema, code ?? {}, 'code')))
  for (const name of codes.keys())
    if (!Object.hasOwn(dependencies, name)) throw new OptionError(`code.${name}`, 'is no dependency of the file')

  const pools = new Map<string, Pool>()
  for (const [name, { slots }] of Object.entries(given.pools ?? {}))
    pools.set(
      name,
      at(`pools.${name}`, 'createPool.', () => createPool({ name, slots: slots as number })),
    )
  const complete = (said: Group, inCode: Group, path: string): Group =>
    withPool(joined(said, inCode, path), pools, path)
  const registry = createRegistry({ ...others, defaults: complete(given.defaults ?? {}, { ...defaults }, 'defaults') })
  try {
    for (const [name, said] of Object.entries(dependencies)) {
      const path = `dependencies.${name}`
      const whole = complete(said, codes.get(name) ?? {}, path)
      at(path, '', () => registry.dependency(name, whole))
    }
    const budgets = given.budgets && budgetsOf({ ...given.budgets, clock: registry.clock })
    return { registry, pools: Object.fromEntries(pools), budgets } as Loaded<File>
  } catch (error) {
    // Its probes must not run on.
    void registry.close()
    throw error
  }
}

function budgetsOf(given: Group): Budgets {
  return at('budgets', 'createBudgets.', () => createBudgets(given as unknown as BudgetsOptions<string>))
}

/** What the file says with what the code does. Neither goes before the other: a value that loses is one that misleads. */
function joined(said: Group, inCode: Group, path: string): Group {
  const all = new Map(Object.entries(said))
  for (const [name, value] of Object.entries(inCode)) {
    if (value === undefined) continue
    const other = all.get(name)
    if (other === undefined) all.set(name, value)
    else if (isGroup(other) && isGroup(value)) all.set(name, joined(other, value, `${path}.${name}`))
    else throw new OptionError(`${path}.${name}`, 'is said in the code too')
  }
  return Object.fromEntries(all)
}

/** The options with a pool in place of its name. */
function withPool(given: Group, pools: Pools, path: string): Group {
  const { bulkhead } = given
  if (!isGroup(bulkhead) || bulkhead['pool'] === undefined || typeof bulkhead['pool'] === 'object') return given
  const pool = pools.get(bulkhead['pool'] as string)
  if (pool === undefined)
    throw new OptionError(
      `${path}.bulkhead.pool`,
      `must name a pool: ${[...pools.keys()].join(', ') || 'the file has none'}`,
    )
  return { ...given, bulkhead: { ...bulkhead, pool } }
}

/** Tells a problem by its place in the file, in place of `root`. */
function at<T>(path: string, root: string, make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (!(error instanceof OptionError)) throw error
    const problem = error.message.slice(`${error.path}: `.length)
    throw new OptionError(`${path}.${error.path.slice(root.length)}`, problem)
  }
}
