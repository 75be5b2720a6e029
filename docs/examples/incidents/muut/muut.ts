// A start-up that loops takes all of Redis' places; Redis dies, comes back with an old dump, and the old data replace
// the newer. See docs/incidents/muut.md.
import { Started } from '../../replay/started.js'
import type { Phase } from '../../replay/recording.js'
import { playUnderLoad } from '../../replay/under-load.js'
import type { Incident, Print, Replay } from '../incident.js'
import { Archive } from './archive.js'
import { startHalf } from './half.js'
import { accept, acknowledge, restore } from './operator.js'
import { outcome, type Seen } from './outcome.js'

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
  const halves = [unguarded, guarded]
  const seen: Seen = { restored: { guarded: 0, unguarded: 0 } }

  const phases: Phase[] = [
    { name: 'healthy', what: 'all is well', seconds: 5 },
    { name: 'looping', what: 'an archive stops, a start-up loops', seconds: 8, begin: () => archive.stop() },
    {
      name: 'respawned',
      what: 'Redis dies and comes back old',
      seconds: 8,
      begin: async () => {
        await Promise.all(
          halves.map(async ({ redis }) => {
            await redis.kill()
            await redis.restart()
          }),
        )
      },
    },
    {
      name: 'repaired',
      what: 'what is left is put back',
      seconds: 8,
      begin: async () => {
        await archive.start()
        seen.before = await acknowledge(guarded.forum.url)
        seen.restored = { guarded: await restore(guarded), unguarded: await restore(unguarded) }
        seen.after = await acknowledge(guarded.forum.url)
        seen.trusted = await Promise.all([accept(guarded.forum.url), accept(guarded.copy.url)])
      },
    },
  ]
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
    ...(await outcome(recordings, { guarded, unguarded }, seen)),
  }
}
