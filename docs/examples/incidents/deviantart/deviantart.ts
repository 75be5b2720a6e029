// A backup whose sequences lag takes over, and ids are given out a second time. See docs/incidents/deviantart.md.
import { Started } from '../../replay/started.js'
import { playUnderLoad } from '../../replay/under-load.js'
import type { Phase } from '../../replay/recording.js'
import type { Incident, Print, Replay } from '../incident.js'
import { Databases } from './databases.js'
import { startHalf, type Half } from './half.js'
import { outcome, type Seen } from './outcome.js'
import { raiseSequence } from './sequences.js'
import { watchFlips } from './watch.js'

/** Of each kind: pages that are read, and comments that are written. */
const perSecond = 10

export const deviantart: Incident = {
  name: 'deviantart',
  title: 'deviantART, the sequences',
  parts: ['postgres'],
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
  print('three PostgreSQL servers start: one for the comments, one that gives out their ids, and its backup')
  const databases = started.add(new Databases())
  await databases.start()
  const [guarded, unguarded] = await Promise.all([
    startHalf('guarded', databases, started),
    startHalf('unguarded', databases, started),
  ])
  const registry = guarded.registry!
  const firstFlip = watchFlips(registry)
  registry.on('flip', ({ dependency, mode, cause }) => print(`  guarded: ${dependency} is ${mode}: ${cause.reason}`))

  const seen: Seen = { swapped: Number.NaN, early: undefined, acknowledged: undefined, firstFlip }
  const phases: Phase[] = [
    { name: 'healthy', what: 'all is well', seconds: 5 },
    { name: 'lossy', what: 'replication loses increments', seconds: 9, begin: () => databases.loseIncrements() },
    {
      name: 'swapped',
      what: 'the backup takes over',
      seconds: 9,
      async begin() {
        seen.swapped = performance.now()
        await databases.swap()
      },
    },
    {
      name: 'repaired',
      what: 'the sequences were raised',
      seconds: 8,
      async begin() {
        seen.early = await registry.acknowledge('sequence', { by: 'ada', note: 'perhaps it is well again' })
        await repair([guarded, unguarded])
        seen.acknowledged = await registry.acknowledge('sequence', { by: 'ada', note: 'raised by 10,000' })
      },
    },
  ]
  const recordings = await playUnderLoad({
    loads: {
      unguarded: unguarded.visitors.read,
      guarded: guarded.visitors.read,
      'unguarded comments': unguarded.visitors.write,
      'guarded comments': guarded.visitors.write,
    },
    perSecond,
    goodWithin: 10_000,
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

const repair = (halves: readonly Half[]): Promise<unknown> =>
  Promise.all(halves.map(({ databases }) => raiseSequence(databases.ids(), 10_000)))
