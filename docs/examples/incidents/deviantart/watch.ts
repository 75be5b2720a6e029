import type { Registry } from 'cofferdam'

/** When a dependency first became unavailable, on the clock of `performance.now()`. */
export function watchFlips(registry: Registry): (dependency: string) => number | undefined {
  const first = new Map<string, number>()
  registry.on('flip', ({ dependency, mode }) => {
    if (mode === 'unavailable' && !first.has(dependency)) first.set(dependency, performance.now())
  })
  return (dependency) => first.get(dependency)
}
