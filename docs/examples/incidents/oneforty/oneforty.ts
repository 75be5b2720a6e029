import { figures, figuresOf, type Figures } from '../../replay/figures.js'
import type { Claim, Incident, Measure, Print, Replay } from '../incident.js'
import { pagesPerSecond } from './load.js'
import { play, type Played } from './play.js'
import type { Variant } from './site.js'

const variants: readonly Variant[] = ['unguarded', 'guarded']
/** While the cache node is dead. */
const dead = ['killed', 'new']

export const oneforty: Incident = {
  name: 'oneforty',
  title: 'oneforty, the flapping alert',
  parts: ['memcached'],
  async play(print: Print): Promise<Replay> {
    const played = await play(print)
    const all = figures(played.recordings)
    for (const text of played.outcomes.guarded.messages) print(`\nThe guarded half's message: ${text}`)
    return {
      recordings: played.recordings,
      perSecond: pagesPerSecond,
      counted: 'good pages a second',
      measures: measures(played, all),
      claims: claims(played, all),
    }
  },
}

const p99 = (all: readonly Figures[], variant: Variant, phases: readonly string[]): number =>
  Math.max(...phases.map((phase) => figuresOf(all, variant, phase).p99))

/** How many times as slow as when all is well, in the slower of the phases. */
const slowdown = (all: readonly Figures[], variant: Variant): number =>
  p99(all, variant, dead) / p99(all, variant, ['healthy'])

function measures({ outcomes }: Played, all: readonly Figures[]): Measure[] {
  const measure = (what: string, of: (variant: Variant) => string | number): Measure => ({
    what,
    values: Object.fromEntries(variants.map((variant) => [variant, String(of(variant))])),
  })
  return [
    measure('times that swap space was short', (variant) => outcomes[variant].timesShort),
    measure('messages about swap space', (variant) => outcomes[variant].messages.length),
    measure('99 of 100 pages within, healthy, ms', (variant) => p99(all, variant, ['healthy']).toFixed(0)),
    measure('the same with a dead cache node, ms', (variant) => p99(all, variant, dead).toFixed(0)),
    measure('times that node was asked in vain, by one instance', (variant) => outcomes[variant].inVain),
    measure('pages lost to the unready instance', (variant) => outcomes[variant].newcomer.errors),
    measure('pages that it served', (variant) => outcomes[variant].newcomer.pages),
  ]
}

function claims({ outcomes }: Played, all: readonly Figures[]): Claim[] {
  const { unguarded, guarded } = outcomes
  const goodWhileDead = Math.max(...dead.map((phase) => figuresOf(all, 'unguarded', phase).goodRate))
  const ofGuarded = all.filter(({ variant }) => variant === 'guarded')
  const worst = Math.min(...ofGuarded.map(({ goodRate }) => goodRate))
  return [
    {
      says: `unguarded: ${unguarded.messages.length} messages about swap space (at least 10)`,
      holds: unguarded.messages.length >= 10,
    },
    {
      says: `unguarded: pages ${slowdown(all, 'unguarded').toFixed(1)} times as slow with a dead cache node, ${percent(goodWhileDead)} of them good`,
      holds: slowdown(all, 'unguarded') > 1.5 && goodWhileDead < 0.5,
    },
    {
      says: `unguarded: ${unguarded.newcomer.errors} pages lost to an instance without its packages`,
      holds: unguarded.newcomer.errors > 0,
    },
    {
      says: `guarded: ${guarded.messages.length} messages about swap space (at least 1, at most 2)`,
      holds: guarded.messages.length >= 1 && guarded.messages.length <= 2,
    },
    {
      says: `guarded: pages ${slowdown(all, 'guarded').toFixed(2)} times as slow with a dead cache node (at most 1.5)`,
      holds: slowdown(all, 'guarded') <= 1.5,
    },
    {
      // Once somebody waited, for as many parts as were asked for just then. Trials and writes go on, and nobody waits.
      says: `guarded: the dead cache node was asked ${guarded.inVain} times (at least 1, at most 30; unguarded ${unguarded.inVain})`,
      holds: guarded.inVain >= 1 && guarded.inVain <= 30 && unguarded.inVain > 100,
    },
    {
      says: `guarded: ${guarded.newcomer.errors} pages lost to the new instance, which served ${guarded.newcomer.pages}`,
      holds: guarded.newcomer.errors === 0 && guarded.newcomer.pages > 0,
    },
    {
      says: `guarded: at least ${percent(worst)} good pages in every phase (at least 98 %)`,
      holds: worst >= 0.98,
    },
  ]
}

const percent = (ratio: number): string => `${(ratio * 100).toFixed(1)} %`
