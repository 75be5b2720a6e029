import type { Phase } from '../../replay/recording.js'
import type { Variant } from './variant.js'

/** What happened in the course of it, on the clock of `performance.now()`. */
export interface Seen {
  lockEnded: number
}

const LOCKED = 8
const PAUSED = 6

/** @param operators whether somebody pauses the callbacks after a while; without guards there is nothing to pause */
export function script(variants: readonly Variant[], seen: Seen, operators: boolean): Phase[] {
  const guarded = variants.filter(({ registry }) => registry !== undefined)
  let upgrades: Promise<unknown> | undefined
  const everyGuarded = async (action: object): Promise<void> => {
    await Promise.all(guarded.map(({ url }) => operate(url, action)))
  }
  return [
    { name: 'healthy', what: 'all is well', seconds: 8 },
    {
      name: 'locked',
      what: 'an upgrade locks a table',
      seconds: LOCKED,
      begin() {
        upgrades = Promise.all(variants.map(({ database }) => database.upgrade(LOCKED + PAUSED)))
        // It is waited for at its end; until then nobody would see it fail.
        upgrades.catch(() => undefined)
      },
    },
    {
      name: 'paused',
      what: operators ? 'callbacks are paused' : 'still locked',
      seconds: PAUSED,
      begin: () =>
        operators ? everyGuarded({ action: 'pause', budget: 'callbacks', reason: 'the upgrade runs' }) : undefined,
    },
    {
      name: 'over',
      what: 'the upgrade is over',
      seconds: 10,
      async begin() {
        await upgrades
        seen.lockEnded = performance.now()
        if (operators) await everyGuarded({ action: 'resume', budget: 'callbacks' })
      },
    },
  ]
}

async function operate(portal: string, action: object): Promise<void> {
  const response = await fetch(`${portal}/ops`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(action),
  })
  if (!response.ok) throw new Error(`the operator was refused: ${response.status} ${await response.text()}`)
  await response.text()
}
