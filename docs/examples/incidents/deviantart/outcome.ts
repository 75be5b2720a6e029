import type { Acknowledged } from 'cofferdam'
import { figures, figuresOf, type Figures } from '../../replay/figures.js'
import type { Recording } from '../../replay/recording.js'
import type { Claim, Measure } from '../incident.js'
import type { Half, Variant } from './half.js'
import { allTexts } from './tables.js'

/** What happened in the course of it. */
export interface Seen {
  /** On the clock of `performance.now()`. */
  swapped: number
  /** What an operator was told who came before the repair, and after it. */
  early: Acknowledged | undefined
  acknowledged: Acknowledged | undefined
  firstFlip: (dependency: string) => number | undefined
}

/** What one site came to. */
interface Damage {
  /** Ids given out twice. */
  twice: number
  mixed: number
  lost: number
  refused: number
  /** Answers with a 5xx. */
  errors: number
}

export async function outcome(
  recordings: readonly Recording[],
  halves: Readonly<Record<Variant, Half>>,
  seen: Seen,
): Promise<{ measures: Measure[]; claims: Claim[] }> {
  const all = figures(recordings)
  const [unguarded, guarded] = await Promise.all([
    damageOf('unguarded', halves.unguarded, all),
    damageOf('guarded', halves.guarded, all),
  ])
  const drifted = secondsAfter(seen.firstFlip('backup'), seen.swapped)
  const withheld = secondsAfter(seen.swapped, seen.firstFlip('sequence'))
  const row = (what: string, value: (damage: Damage) => number): Measure => ({
    what,
    values: { unguarded: `${value(unguarded)}`, guarded: `${value(guarded)}` },
  })
  const measures: Measure[] = [
    row('ids given out twice', ({ twice }) => twice),
    row('pages shown with a comment of another page', ({ mixed }) => mixed),
    row('comments lost', ({ lost }) => lost),
    {
      what: 'pages that could be read and were right',
      values: { unguarded: readable('unguarded', all), guarded: readable('guarded', all) },
    },
    row('errors that anybody saw', ({ errors }) => errors),
    row('comments refused, among them', ({ refused }) => refused),
    { what: 'the monitor saw the backup lag', values: { unguarded: '–', guarded: `${drifted} s before the swap` } },
    { what: 'writes were off', values: { unguarded: 'never', guarded: `${withheld} s after the swap` } },
  ]
  const repaired = figuresOf(all, 'guarded comments', 'repaired')
  const pages = all.filter(({ variant }) => variant === 'guarded')
  return {
    measures,
    claims: [
      { says: `unguarded: ${unguarded.twice} ids were given out twice`, holds: unguarded.twice > 0 },
      { says: `unguarded: ${unguarded.mixed} pages showed a comment of another page`, holds: unguarded.mixed > 0 },
      { says: `unguarded: ${unguarded.errors} errors were seen (none)`, holds: unguarded.errors === 0 },
      { says: `guarded: ${guarded.twice} ids were given out twice (none)`, holds: guarded.twice === 0 },
      {
        says: `guarded: ${guarded.mixed} pages mixed, ${guarded.lost} comments lost (none)`,
        holds: guarded.mixed === 0 && guarded.lost === 0,
      },
      {
        says: `guarded: ${readable('guarded', all)} of the pages could be read and were right (100 %)`,
        holds: pages.every(({ visits, good }) => visits > 0 && good === visits),
      },
      { says: `guarded: the drift was seen ${drifted} s before the swap`, holds: Number(drifted) > 0 },
      { says: `guarded: writes were off ${withheld} s after the swap`, holds: Number(withheld) >= 0 },
      { says: 'guarded: an operator who came before the repair was told so', holds: seen.early?.holds === false },
      {
        says: `guarded: ${repaired.good} comments were written after the repair`,
        holds: seen.acknowledged?.holds === true && repaired.good > 0,
      },
    ],
  }
}

async function damageOf(variant: Variant, { visitors, databases }: Half, all: readonly Figures[]): Promise<Damage> {
  const { twice, saved, mixed, refused } = visitors
  const texts = await allTexts(databases.shards)
  return {
    twice,
    mixed,
    lost: [...saved].filter((text) => !texts.has(text)).length,
    refused,
    errors: all
      .filter((one) => one.variant.startsWith(variant))
      .reduce((sum, { serverErrors }) => sum + serverErrors, 0),
  }
}

function readable(variant: Variant, all: readonly Figures[]): string {
  const pages = all.filter((one) => one.variant === variant)
  const sum = (of: (one: Figures) => number): number => pages.reduce((total, one) => total + of(one), 0)
  return `${((100 * sum(({ good }) => good)) / sum(({ visits }) => visits)).toFixed(1)} %`
}

const secondsAfter = (from = Number.NaN, to = Number.NaN): string => ((to - from) / 1_000).toFixed(2)
