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

const locked = ['locked', 'paused']
const phases = ['healthy', ...locked, 'over']
const percent = (rate: number): string => `${(rate * 100).toFixed(1)} %`
const isGuarded = (name: string): boolean => name.startsWith('guarded')

export function outcome(all: readonly Figures[], played: Played): { measures: Measure[]; claims: Claim[] } {
  const names = [...new Set(all.map(({ variant }) => variant))]
  const seconds = figures(played.seconds)
  const row = (what: string, value: (name: string) => string): Measure => ({
    what,
    values: Object.fromEntries(names.map((name) => [name, value(name)])),
  })
  const measures = [
    row('good pages during the lock', (name) => percent(goodRate(all, name))),
    row('p99 of a page while all is well, ms', (name) => figuresOf(all, name, 'healthy').p99.toFixed(0)),
    row('p99 of a page during the lock, ms', (name) => lockedP99(all, name).toFixed(0)),
    ...['in the same process', 'in its own'].map((where) =>
      row(`second site ${where}: good pages during the lock`, (name) => {
        const second = `${name}, second site ${where}`
        return seconds.some(({ variant }) => variant === second) ? percent(goodRate(seconds, second)) : ''
      }),
    ),
    row('callbacks saved again after the lock, s', (name) => recoveryOf(played, name)?.toFixed(1) ?? ''),
  ]
  const halves = [...played.callbacks.keys()]
  return {
    measures,
    claims: [
      ...halves.filter((name) => !isGuarded(name)).map((name) => fails(all, name)),
      ...seconds.filter(({ variant, phase }) => !isGuarded(variant) && phase === 'locked').map(secondFails),
      ...halves.filter(isGuarded).flatMap((name) => holds(all, name, recoveryOf(played, name))),
      ...seconds.filter(({ variant }) => isGuarded(variant)).map(secondHolds),
    ],
  }
}

function fails(all: readonly Figures[], name: string): Claim {
  const rate = goodRate(all, name)
  return { says: `${name}: ${percent(rate)} good pages during the lock (below 50)`, holds: rate < 0.5 }
}

const secondFails = ({ variant, goodRate: rate }: Figures): Claim => ({
  says: `${variant}: ${percent(rate)} good pages while the other site's table is locked (below 50)`,
  holds: rate < 0.5,
})

function holds(all: readonly Figures[], name: string, recovery: number | undefined): Claim[] {
  const healthy = figuresOf(all, name, 'healthy').p99
  const during = lockedP99(all, name)
  return [
    ...phases.map((phase): Claim => {
      const { goodRate: rate } = figuresOf(all, name, phase)
      return { says: `${name}: ${percent(rate)} good pages, ${phase} (at least 99)`, holds: rate >= 0.99 }
    }),
    {
      says: `${name}: p99 of a page ${during.toFixed(0)} ms during the lock, ${healthy.toFixed(0)} before (below twice that)`,
      holds: during < 2 * healthy,
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

/** Over both phases of the lock. */
function goodRate(all: readonly Figures[], name: string): number {
  const during = locked.map((phase) => figuresOf(all, name, phase))
  const sum = (of: (one: Figures) => number): number => during.reduce((total, one) => total + of(one), 0)
  return sum(({ good }) => good) / sum(({ visits }) => visits)
}

const lockedP99 = (all: readonly Figures[], name: string): number =>
  Math.max(...locked.map((phase) => figuresOf(all, name, phase).p99))

/** Seconds until a callback was saved and, where there is a verdict, it was `available`; undefined = never. */
function recoveryOf({ callbacks, recovered, seen }: Played, name: string): number | undefined {
  const saved = callbacks.get(name)?.saved.find((at) => at > seen.lockEnded)
  if (saved === undefined) return undefined
  const available = recovered.get(name)
  if (isGuarded(name) && available === undefined) return undefined
  return (Math.max(saved, available ?? saved) - seen.lockEnded) / 1_000
}
