import { setTimeout as sleep } from 'node:timers/promises'
import { checkAccount, checkRecord, customers } from './database.js'
import { patience } from './load.js'
import type { Worker } from './worker.js'

export interface Monitor {
  /** What it raised, or did. */
  readonly acted: number
  stop: () => Promise<void>
}

/** A minute, scaled. */
const EVERY = 1_000

/** Whether it answered as it should. */
const answers = (url: string): Promise<boolean> =>
  fetch(url, { signal: AbortSignal.timeout(patience) }).then(
    async (response) => {
      await response.arrayBuffer()
      return response.ok
    },
    () => false,
  )

/** From outside: reads a customer's record, each time another's, and tries once more before it raises anything. */
export function outsideMonitor(url: string): Monitor {
  let number = 0
  const read = (): Promise<boolean> => answers(`${url}/databases/${customers[number++ % customers.length]!}/1`)
  return everySecond(async () => !(await read()) && !(await read()))
}

/** On the machine: restarts the process when the check has failed twice in a row. */
export function localMonitor(worker: Worker, variant: 'unguarded' | 'guarded'): Monitor {
  // Unguarded it reads its own account. Guarded the process answers for itself, by what its calls say.
  const path = variant === 'guarded' ? '/alive' : `/databases/${checkAccount}/${checkRecord}`
  let failures = 0
  return everySecond(async () => {
    failures = (await answers(`${worker.url}${path}`)) ? 0 : failures + 1
    if (failures < 2) return false
    failures = 0
    await worker.restart()
    return true
  })
}

/** @param look gives whether it acted */
function everySecond(look: () => Promise<boolean>): Monitor {
  const over = new AbortController()
  let acted = 0
  async function watch(): Promise<void> {
    for (;;) {
      await sleep(EVERY, undefined, { signal: over.signal })
      if (await look()) acted++
    }
  }
  const watching = watch().catch((error: unknown) => {
    if (!over.signal.aborted) throw error
  })
  // What went wrong meanwhile is told when it is stopped.
  watching.catch(() => undefined)
  return {
    get acted() {
      return acted
    },
    async stop() {
      over.abort()
      await watching
    },
  }
}
