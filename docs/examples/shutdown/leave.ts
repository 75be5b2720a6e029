import type { Server } from 'node:http'
import type { Registry } from 'cofferdam'

/** How long a load balancer takes to see that this process isn't ready, ms; a real one asks every few seconds. */
const NOTICE = 500
/** How long requests that are in flight may take to end, ms. */
const PATIENCE = 10_000

/**
 * Leaves in four steps: not ready any more; no new connections; requests in flight end; their calls end.
 *
 * @param stop stops the server: refuses new connections, resolves when the last request is answered
 */
export function leaveOnSigterm(registry: Registry, server: Server, stop: () => Promise<unknown>): void {
  process.once('SIGTERM', () => {
    registry.leave()
    setTimeout(() => {
      // A connection that is kept alive after its last answer would hold the server open.
      setInterval(() => {
        server.closeIdleConnections()
      }, 50).unref()
      const ended = stop().then(() => 0)
      // Whoever restarts the process should know that a request was given up.
      const gaveUp = after(PATIENCE).then(() => 1)
      void Promise.race([ended, gaveUp]).then(async (code) => {
        await registry.close({ timeout: 1_000 })
        process.exit(code)
      })
    }, NOTICE)
  })
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}
