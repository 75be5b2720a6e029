import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { endChild, startChild } from '../../replay/child.js'
import { template, templateIn } from './page.js'
import type { Report, Running } from './process.js'

/** An instance of the app, a process of its own. */
export interface Instance {
  readonly url: string
  /** Its packages are there from now on. */
  install: () => Promise<void>
  /** Resolves when it says that it is ready; at once when it knows no such thing. */
  ready: () => Promise<void>
  /** How often it has asked a cache node and got no answer in time. */
  inVain: () => Promise<number>
  /** At once, as when its machine is gone. */
  kill: () => Promise<void>
}

/** Resolves when it listens, which says nothing of its packages. */
export async function startInstance(running: Running): Promise<Instance> {
  const child = startChild(fileURLToPath(new URL('process.ts', import.meta.url)), [JSON.stringify(running)])
  const ended = once(child, 'exit').then(() => {
    throw new Error('the instance did not start')
  })
  const [{ port }] = (await Promise.race([once(child, 'message'), ended])) as [Report]
  // From now on its end is nobody's mistake.
  ended.catch(() => undefined)
  const url = `http://127.0.0.1:${port}`
  return {
    url,
    install: () => writeFile(templateIn(running.directory), template),
    async ready() {
      while ((await fetch(`${url}/ready`)).status === 503) await sleep(50)
    },
    inVain: async () => (await (await fetch(`${url}/in-vain`)).json()) as number,
    kill: () => endChild(child, 'SIGKILL'),
  }
}
