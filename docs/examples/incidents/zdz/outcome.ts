import { figures, figuresOf, type Figures } from '../../replay/figures.js'
import type { Recording } from '../../replay/recording.js'
import type { Claim, Measure } from '../incident.js'
import type { Seen } from './script.js'
import type { Callbacks } from './visitors.js'

/** What the unguarded and the guarded portals did. */
export interface Played {
  pages: readonly Recording[]
  /** The second sites' pages. */
  seconds: readonly Recording[]
  seen: Seen
  callbacks: ReadonlyMap<string, Callbacks>
  /** When a guarded portal's dependency was available again, for the last time. */
  recovered: ReadonlyMap<string, number>
}

/** What a second site can do by itself: it is guarded, and the portal that it calls isn't. */
export const ALONE = 'guarded second site of the unguarded portal'

const phases = ['healthy', 'locked', 'paused', 'over']
const percent = (rate: number): string => `${(rate * 100).toFixed(1)} %`
const isGuarded = (name: string): boolean => name.startsWith('guarded')

/** @param others recordings of peers */
export function outcome(played: Played, others: readonly Recording[]): { measures: Measure[]; claims: Claim[] } {
  const recordings = [...played.pages, ...others]
  const all = figures(recordings)
  const during = figures([...recordings, ...played.seconds].map(wholeLock))
  const seconds = figures(played.seconds)
  const lock = (name: string): Figures => figuresOf(during, name, 'lock')
  const row = (what: string, value: (name: string) => string): Measure => ({
    what,
    values: Object.fromEntries(recordings.map(({ variant }) => [variant, value(variant)])),
  })
  const measures = [
    row('good pages during the lock', (name) => percent(lock(name).goodRate)),
    row('p99 of a page while all is well, ms', (name) => figuresOf(all, name, 'healthy').p99.toFixed(0)),
    row('p99 of a page during the lock, ms', (name) => lock(name).p99.toFixed(0)),
    ...['in the same process', 'in its own'].map((where) =>
      row(`second site ${where}: good pages during the lock`, (name) => {
        const second = `${name}, second site ${where}`
        return during.some(({ variant }) => variant === second) ? percent(lock(second).goodRate) : ''
      }),
    ),
    row('guarded second site: good pages during the lock', (name) =>
      name === 'unguarded' && during.some(({ variant }) => variant === ALONE) ? percent(lock(ALONE).goodRate) : '',
    ),
    row('callbacks saved again after the lock, s', (name) => recoveryOf(played, name)?.toFixed(1) ?? ''),
  ]
  const unguarded = during.filter(({ variant }) => variant.startsWith('unguarded'))
  const guarded = played.pages.map(({ variant }) => variant).filter(isGuarded)
  return {
    measures,
    claims: [
      ...unguarded.map(fails),
      ...guarded.flatMap((name) => holds(all, lock(name), recoveryOf(played, name))),
      ...seconds.filter(({ variant }) => isGuarded(variant)).map(secondHolds),
    ],
  }
}

const fails = ({ variant, goodRate }: Figures): Claim => ({
  says: `${variant}: ${percent(goodRate)} good pages during the lock (below 50)`,
  holds: goodRate < 0.5,
})

function holds(all: readonly Figures[], lock: Figures, recovery: number | undefined): Claim[] {
  const name = lock.variant
  const healthy = figuresOf(all, name, 'healthy').p99
  return [
    ...phases.map((phase): Claim => {
      const { goodRate } = figuresOf(all, name, phase)
      return { says: `${name}: ${percent(goodRate)} good pages, ${phase} (at least 99)`, holds: goodRate >= 0.99 }
    }),
    {
      says: `${name}: p99 of a page ${lock.p99.toFixed(0)} ms during the lock, ${healthy.toFixed(0)} before (below twice that)`,
      holds: lock.p99 < 2 * healthy,
    },
    {
      says: `${name}: callbacks are saved again ${recovery?.toFixed(1) ?? 'never'} s after the lock (within 10)`,
      holds: recovery !== undefined && recovery < 10,
    },
  ]
}

const secondHolds = ({ variant, phase, visits, good }: Figures): Claim => ({
  says: `${variant}: ${good} of ${visits} pages, ${phase} (all)`,
  holds: visits > 0 && good === visits,
})

/** Both phases of the lock as one. */
function wholeLock({ variant, phases: [, locked, paused], visits }: Recording): Recording {
  return { variant, phases: [{ ...locked!, name: 'lock', to: paused!.to }], visits }
}

/** Seconds until a callback was saved and, where there is a verdict, it was `available`; undefined = never. */
function recoveryOf({ callbacks, recovered, seen }: Played, name: string): number | undefined {
  const saved = callbacks.get(name)?.saved.find((at) => at > seen.lockEnded)
  if (saved === undefined) return undefined
  const available = recovered.get(name)
  if (isGuarded(name) && available === undefined) return undefined
  return (Math.max(saved, available ?? saved) - seen.lockEnded) / 1_000
}
