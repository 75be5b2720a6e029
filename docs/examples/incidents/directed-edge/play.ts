import { progressLines } from '../../replay/progress.js'
import { playPhases, type Phase, type PlayedPhase, type Recording } from '../../replay/recording.js'
import type { Print } from '../incident.js'
import { corruptIndex, loseCheck, misplaceCheck } from './damage.js'
import { readsPerSecond } from './load.js'
import { lost, startSite, writesDuringRepair, type Site, type Variant } from './site.js'

/** The database whose index is corrupt. */
export const victim = 'music'

/** What became of one variant. */
export interface Outcome {
  /** What the monitor from outside raised while a fifth of the calls failed. */
  alarms: number
  /** Of a process that nothing was wrong with. */
  restarts: number
  /** After the index became corrupt, ms; undefined = nobody was told. */
  warnedAfter: number | undefined
  /** Which database it named. */
  named: string | undefined
  /** It said that the check contradicts the calls, and that the check can't tell. */
  doubted: { disagreed: boolean; inconclusive: boolean }
  /** Databases that the checker has rebuilt. */
  repaired: number
  writesDuringRepair: number
  acknowledged: number
  refused: number
  lost: number
}

export interface Played {
  recordings: Recording[]
  outcomes: Record<Variant, Outcome>
}

/** Plays both variants at the same time, under the same load, with the same damage. */
export async function play(print: Print): Promise<Played> {
  const sites: Site[] = []
  try {
    for (const variant of ['guarded', 'unguarded'] as const) sites.push(await startSite(variant))
    const alarms = new Map<Site, number>()
    const visits = Object.fromEntries(sites.map((site) => [site.variant, site.visits]))
    const progress = progressLines(visits, readsPerSecond)
    const phases = await playPhases(script(sites, alarms), print, () => {
      print(progress())
    })
    await Promise.all(sites.map((site) => site.quiet()))
    await Promise.all(sites.map((site) => site.worker.stop()))
    const [guarded, unguarded] = await Promise.all(sites.map((site) => outcome(site, phases, alarms.get(site)!)))
    return {
      recordings: sites.map(({ variant, visits }) => ({ variant, phases, visits })),
      outcomes: { guarded: guarded!, unguarded: unguarded! },
    }
  } finally {
    await Promise.all(sites.map((site) => site.stop()))
  }
}

/** @param alarms what the outside monitors had raised by the end of the second phase is put here */
function script(sites: readonly Site[], alarms: Map<Site, number>): Phase[] {
  const both = (act: (site: Site) => unknown) => async (): Promise<void> => {
    await Promise.all(sites.map(act))
  }
  let repairs: Promise<unknown> = Promise.resolve()
  return [
    { name: 'healthy', what: 'five databases', seconds: 6 },
    {
      name: 'corrupt',
      what: 'one index of five',
      seconds: 12,
      begin: both((site) => corruptIndex(site.directory, victim)),
    },
    {
      name: 'check',
      what: 'its record too',
      seconds: 5,
      begin: both((site) => {
        alarms.set(site, site.outside.acted)
        return misplaceCheck(site.directory)
      }),
    },
    { name: '404', what: 'account gone', seconds: 5, begin: both((site) => loseCheck(site.directory)) },
    {
      name: 'repair',
      what: 'one after the other',
      seconds: 7,
      begin: async () => {
        repairs = Promise.all(sites.map((site) => site.repair()))
        // Awaited when the next phase begins; until then a failure must wait too.
        repairs.catch(() => undefined)
      },
    },
    {
      name: 'after',
      what: '“it looked fixed”',
      seconds: 5,
      begin: async () => {
        await repairs
      },
    },
  ]
}

async function outcome(site: Site, phases: readonly PlayedPhase[], alarms: number): Promise<Outcome> {
  const { told, sent } = site
  const corruptAt = phases.find(({ name }) => name === 'corrupt')!.from
  const warning = told.find((one) => 'warning' in one && one.warning === 'failures')
  return {
    alarms,
    restarts: site.local.acted,
    warnedAfter: warning === undefined ? undefined : warning.at - corruptAt,
    named: warning !== undefined && 'worst' in warning ? warning.worst : undefined,
    doubted: {
      disagreed: told.some((one) => 'disagreement' in one && one.disagreement === 'failing'),
      inconclusive: told.some((one) => 'warning' in one && one.warning === 'probe'),
    },
    repaired: site.repaired.length,
    writesDuringRepair: writesDuringRepair(site),
    acknowledged: sent.acknowledged.length,
    refused: sent.refused,
    lost: await lost(site),
  }
}
