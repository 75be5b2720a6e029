import type { RegistryEvents } from 'cofferdam'
import { dependencyOf, guard, registry } from './cofferdam.js'
import type { BuildStack } from './stack.js'

/** By name, so that the compiler notices one that is new. */
const heard: Record<keyof RegistryEvents, number> = {
  flip: 0,
  warning: 0,
  flapping: 0,
  disagreement: 0,
  longCall: 0,
  leak: 0,
  call: 0,
  olderValue: 0,
  connection: 0,
  error: 0,
}

for (const name of Object.keys(heard) as (keyof RegistryEvents)[]) registry.on(name, () => heard[name]++)

/** Cofferdam with a listener on every event of its registry, and `circuit` read, which makes an opossum beside it. */
export const build: BuildStack = (options) => {
  const dependency = dependencyOf(options)
  if (dependency.circuit.opened) throw new Error('the circuit is open before the first call')
  return { ...guard(dependency, options), heard: () => heard.call }
}
