/** What each start-up of the process with the bug opens: to read, to write, to publish and to listen. */
export const CONNECTIONS = 4

/** How far apart `keepTrying` keeps its attempts, at most; short, so that its recovery can be watched. */
export const BACKOFF = { base: 100, atMost: 5_000 }

/** The most connections that it can open in that time when each wait is the shortest possible: half of the back-off. */
export function mostConnections(ms: number): number {
  const wait = (attempts: number): number => Math.min(BACKOFF.atMost, BACKOFF.base * 2 ** (attempts - 1)) / 2
  let attempts = 1
  for (let spent = 0; (spent += wait(attempts)) <= ms;) attempts++
  return attempts * CONNECTIONS
}
