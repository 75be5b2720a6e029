import { setTimeout as sleep } from 'node:timers/promises'
import { figures, figuresOf } from '../../replay/figures.js'
import type { Recording } from '../../replay/recording.js'
import type { Claim, Measure } from '../incident.js'
import { threadsAt, type Half, type Variant } from './half.js'
import { mostConnections } from './pace.js'
import type { Seen } from './script.js'

/** What one half came to. */
interface Damage {
  starts: number
  most: number
  served: number
  refused: number
  incomplete: number
  accepted: number
  /** Messages that were not. */
  turnedAway: number
  lost: number
  lostOnDisk: number
  /** Older values that the copy did not take over. */
  older: number
}

export async function outcome(
  recordings: readonly Recording[],
  halves: Readonly<Record<Variant, Half>>,
  seen: Seen,
): Promise<{ measures: Measure[]; claims: Claim[] }> {
  const [unguarded, guarded] = await Promise.all([damageOf(halves.unguarded), damageOf(halves.guarded)])
  const row = (what: string, value: (damage: Damage) => number | string): Measure => ({
    what,
    values: { unguarded: `${value(unguarded)}`, guarded: `${value(guarded)}` },
  })
  const noticed = (what: string, { unguarded, guarded }: Record<Variant, number>): Measure => ({
    what,
    values: { unguarded: `${unguarded}`, guarded: `${guarded}` },
  })
  const measures: Measure[] = [
    row('starts of the process with the bug', ({ starts }) => starts),
    noticed('connections that it opened while it looped', seen.connections),
    row('clients of Redis at once, at most (of 64)', ({ most }) => most),
    row('healthy client refused, of its visits', ({ refused, served }) => `${refused} of ${refused + served}`),
    row('threads shown without an accepted message', ({ incomplete }) => incomplete),
    row('messages accepted', ({ accepted }) => accepted),
    row('messages refused', ({ turnedAway }) => turnedAway),
    row('accepted messages lost', ({ lost }) => lost),
    row('accepted messages lost on the copy’s disk', ({ lostOnDisk }) => lostOnDisk),
    noticed('threads of the copy that went back', seen.wentBack),
    row('older values that the copy refused', ({ older }) => older),
    noticed('threads put back by the operator', seen.restored),
  ]
  const { before, after, trusted, connections, wentBack } = seen
  const brokenAfter = after?.broken.map(({ invariant }) => invariant).join(', ')
  const seconds = (seen.looped / 1_000).toFixed(1)
  const most = mostConnections(seen.looped)
  const posted = figuresOf(figures(recordings), 'guarded messages', 'repaired').good
  return {
    measures,
    claims: [
      { says: `unguarded: a healthy client was refused ${unguarded.refused} times`, holds: unguarded.refused > 0 },
      { says: `unguarded: ${unguarded.lost} accepted messages were lost`, holds: unguarded.lost > 0 },
      { says: `unguarded: ${unguarded.lostOnDisk} of them on the copy’s disk too`, holds: unguarded.lostOnDisk > 0 },
      { says: `unguarded: ${wentBack.unguarded} threads of the copy went back`, holds: wentBack.unguarded > 0 },
      {
        says: `guarded: the process with the bug was started again ${guarded.starts - 1} times all the same`,
        holds: guarded.starts > 1,
      },
      {
        says: `guarded: in ${seconds} s of that it opened ${connections.guarded} connections (at most ${most})`,
        holds: connections.guarded > 0 && connections.guarded <= most,
      },
      {
        says: `guarded: a healthy client was refused ${guarded.refused} times, and served ${guarded.served} (never refused)`,
        holds: guarded.refused === 0 && guarded.served > 0,
      },
      {
        says: `guarded: ${guarded.lost} of ${guarded.accepted} accepted messages were lost, ${guarded.lostOnDisk} on the copy’s disk (none)`,
        holds: guarded.accepted > 0 && guarded.lost === 0 && guarded.lostOnDisk === 0,
      },
      { says: `guarded: ${wentBack.guarded} threads of the copy went back (none)`, holds: wentBack.guarded === 0 },
      {
        says: `guarded: ${guarded.incomplete} threads were shown without an accepted message (none)`,
        holds: guarded.incomplete === 0,
      },
      {
        says: 'guarded: an operator who came before the repair was told that versions had gone back',
        holds: before?.holds === false && before.broken.some(({ invariant }) => invariant === 'versions'),
      },
      {
        says: `guarded: after it only this was left to accept: ${brokenAfter}`,
        holds: brokenAfter === 'server',
      },
      {
        says: `guarded: then Redis was trusted again, and ${posted} messages were accepted`,
        holds: trusted.length === 2 && trusted.every((mode) => mode === 'available') && posted > 0,
      },
    ],
  }
}

async function damageOf(half: Half): Promise<Damage> {
  const { forum, copy, importer, healthy, visitors, copyOnDisk } = half
  await healthy.stop()
  await importer.stop()
  const lost = visitors.lostFrom(await threadsAt(forum.url))
  // The copy comes after.
  for (let tries = 0; tries < 50 && visitors.lostFrom(await threadsAt(copy.url)) > lost; tries++) await sleep(200)
  const older = (await (await fetch(`${copy.url}/refused`)).json()) as number
  const { incomplete, messages: accepted, refused: turnedAway } = visitors
  const { served, refused, most } = healthy
  const lostOnDisk = visitors.lostFrom(await copyOnDisk())
  return { starts: importer.starts, most, served, refused, incomplete, accepted, turnedAway, lost, lostOnDisk, older }
}
