// A start-up that loops takes all of Redis' places; Redis dies, comes back with an old dump, and the old data replace
// the newer. See docs/incidents/muut.md.
import { Started } from '../../replay/started.js'
import { playUnderLoad } from '../../replay/under-load.js'
import type { Incident, Print, Replay } from '../incident.js'
import { Archive } from './archive.js'
import { startHalf } from './half.js'
import { outcome } from './outcome.js'
import { script } from './script.js'

/** Of each kind: threads that are read, and messages that are posted. */
const perSecond = 10

export const muut: Incident = {
  name: 'muut',
  title: 'Muut, the respawn',
  parts: ['redis'],
  async play(print) {
    const started = new Started()
    try {
      return await playOn(started, print)
    } finally {
      await started.stop()
    }
  },
}

async function playOn(started: Started, print: Print): Promise<Replay> {
  print('two Redis servers start, and for each a forum, a copy, and a process with a bug')
  const archive = started.add(new Archive())
  await archive.start()
  const [guarded, unguarded] = await Promise.all([
    startHalf('guarded', archive.port, started),
    startHalf('unguarded', archive.port, started),
  ])
  const halves = { guarded, unguarded }
  const { phases, seen } = script(archive, halves)
  const recordings = await playUnderLoad({
    loads: {
      unguarded: unguarded.visitors.read,
      guarded: guarded.visitors.read,
      'unguarded messages': unguarded.visitors.post,
      'guarded messages': guarded.visitors.post,
    },
    perSecond,
    goodWithin: 3_000,
    phases,
    print,
    shown: ['unguarded', 'guarded'],
  })
  return {
    recordings,
    perSecond,
    counted: 'good answers a second',
    ...(await outcome(recordings, halves, seen)),
  }
}
