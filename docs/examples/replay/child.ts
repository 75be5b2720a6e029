import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

/**
 * A process of a replay's own, from a TypeScript file. It has to end by itself when we do, however that happens: see
 * `endWithParent`.
 */
export const startChild = (file: string, args: readonly string[] = []): ChildProcess =>
  fork(file, args, { execArgv: ['--import', tsx] })

/** Ends it and waits until it has ended. */
export async function endChild(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  await exited
}

/** For the child: Ctrl-C reaches every process of the terminal; the parent decides when this one ends. */
export function endWithParent(): void {
  process.on('SIGINT', () => undefined)
  process.on('disconnect', () => process.exit())
  // It may have gone while this one was still starting.
  if (!process.connected) process.exit()
}
