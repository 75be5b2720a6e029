import type { Played } from './play.js'

/** The registry's history, a line for each entry. */
export function story({ began, history }: Played): string {
  return history
    .map(({ at, dependency, mode, cause }) => {
      const seconds = ((at - began) / 1_000).toFixed(1)
      return `${seconds.padStart(5)} s  ${dependency.padEnd(15)}  ${mode.padEnd(11)}  ${cause.reason}`
    })
    .join('\n')
}
