import { createRegistry, type Dependency, type DependencyOptions, type Registry } from '../../src/index.js'
import { ManualClock } from '../../src/testing.js'
import { gate, type Gate } from './gate.js'

/** A dependency whose every call hangs until the test says what becomes of it. */
export interface Rig {
  clock: ManualClock
  registry: Registry
  dependency: Dependency
  /** Those begun and not yet settled by the test, oldest first. */
  begun: Gate<string>[]
  call: (options?: Parameters<ReturnType<Dependency['wrap']>['with']>[0]) => Promise<string>
  /** Calls and settles at once. */
  succeed: (times?: number, took?: number) => Promise<void>
  failing: (times?: number, took?: number) => Promise<void>
}

export function rig(options: DependencyOptions = {}, clock = new ManualClock()): Rig {
  const registry = createRegistry({ clock })
  const dependency = registry.dependency('feed', options)
  const begun: Gate<string>[] = []
  const load = dependency.wrap(
    () => {
      const work = gate<string>()
      begun.push(work)
      return work.promise
    },
    { name: 'load' },
  )
  const call: Rig['call'] = (given) => {
    const result = given === undefined ? load() : load.with(given)()
    result.catch(() => undefined)
    return result
  }
  const settleEach = async (times: number, took: number, end: (work: Gate<string>) => void): Promise<void> => {
    for (let i = 0; i < times; i++) {
      const result = call()
      const work = begun.pop()
      if (took > 0) await clock.advance(took)
      if (work !== undefined) end(work)
      await result.catch(() => undefined)
    }
  }
  return {
    clock,
    registry,
    dependency,
    begun,
    call,
    succeed: (times = 1, took = 0) => settleEach(times, took, (work) => work.open('ok')),
    failing: (times = 1, took = 0) => settleEach(times, took, (work) => work.fail(new Error('down'))),
  }
}
