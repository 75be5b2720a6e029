import { figures, figuresOf } from '../../replay/figures.js'
import type { Claim, Incident, Measure, Print, Replay } from '../incident.js'
import { customers } from './database.js'
import { readsPerSecond } from './load.js'
import { play, victim, type Outcome, type Played } from './play.js'

/** The window of the guarded store is the default, ms. */
const window = 10_000

export const directedEdge: Incident = {
  name: 'directed-edge',
  title: 'Directed Edge, the checker',
  parts: [],
  async play(print: Print): Promise<Replay> {
    const played = await play(print)
    return {
      recordings: played.recordings,
      perSecond: readsPerSecond,
      counted: 'good recommendations a second',
      measures: measures(played),
      claims: claims(played),
    }
  },
}

function measures({ outcomes }: Played): Measure[] {
  const { unguarded, guarded } = outcomes
  const measure = (what: string, of: (outcome: Outcome) => string | number): Measure => ({
    what,
    values: { unguarded: String(of(unguarded)), guarded: String(of(guarded)) },
  })
  return [
    measure('raised by the monitor while one index was corrupt', ({ alarms }) => alarms),
    measure('warned', warned),
    measure('restarts of a healthy process', ({ restarts }) => restarts),
    measure('writes while the file was repaired', (outcome) => outcome.writesDuringRepair),
    measure('writes acknowledged', ({ acknowledged }) => acknowledged),
    measure('writes refused, and known to be', ({ refused }) => refused),
    measure('records lost that were acknowledged', (outcome) => outcome.lost),
  ]
}

function claims({ recordings, outcomes }: Played): Claim[] {
  const { unguarded, guarded } = outcomes
  const all = figures(recordings)
  const failed = 1 - figuresOf(all, 'unguarded', 'corrupt').goodRate
  const ofGuarded = all.filter(({ variant }) => variant === 'guarded')
  const worst = Math.min(...ofGuarded.map(({ goodRate }) => goodRate))
  const { warnedAfter, named, doubted } = guarded
  return [
    {
      says: `unguarded: ${percent(failed)} of the answers failed, and the monitor raised ${unguarded.alarms} alarms`,
      holds: failed > 0.15 && failed < 0.25 && unguarded.alarms === 0,
    },
    {
      says: `unguarded: the healthy process was restarted ${unguarded.restarts} times`,
      holds: unguarded.restarts > 0,
    },
    {
      says: `unguarded: ${unguarded.writesDuringRepair} writes reached a file while it was repaired; ${unguarded.lost} records are lost`,
      holds: unguarded.writesDuringRepair > 0 && unguarded.lost > 0,
    },
    {
      says: `guarded: warned ${warned(guarded)} (at most one window, ${seconds(window)} s)`,
      holds: warnedAfter !== undefined && warnedAfter > 0 && warnedAfter <= window && named === victim,
    },
    {
      says: `guarded: the check was told to contradict the calls, then to be inconclusive; ${guarded.restarts} restarts`,
      holds: doubted.disagreed && doubted.inconclusive && guarded.restarts === 0,
    },
    {
      says: `guarded: ${guarded.writesDuringRepair} writes during the repair of ${guarded.repaired} databases, ${guarded.lost} of ${guarded.acknowledged} acknowledged records lost`,
      holds:
        guarded.writesDuringRepair === 0 &&
        guarded.repaired === customers.length + 1 &&
        guarded.lost === 0 &&
        guarded.acknowledged > 0,
    },
    {
      says: `guarded: at least ${percent(worst)} good recommendations in every phase (at least 99 %)`,
      holds: worst >= 0.99,
    },
  ]
}

const warned = ({ warnedAfter, named }: Outcome): string =>
  warnedAfter === undefined ? 'never' : `after ${seconds(warnedAfter)} s of “${named ?? 'none'}”`

const seconds = (ms: number): string => (ms / 1_000).toFixed(1)
const percent = (ratio: number): string => `${(ratio * 100).toFixed(1)} %`
