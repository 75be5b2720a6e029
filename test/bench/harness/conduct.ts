import { availableParallelism } from 'node:os'
import pLimit from 'p-limit'
import type { Case, Effort, SubjectName } from './case.js'
import { SubjectProcess } from './process.js'

/** Every figure of one subject at one point, in the order of the rounds. */
export interface Series {
  readonly subject: SubjectName
  readonly point: number
  readonly figures: number[]
}

/**
 * Runs a case: each subject in a process of its own, all waiting, and in each round every subject is measured once,
 * one at a time, in another order than the round before.
 *
 * A process each, because in a shared one every library would run with the inline caches, the heap and the timers of
 * the others: opossum alone keeps ten seconds of latencies, that somebody's garbage collection has to copy.
 * Round by round, because the machine changes its speed while it runs, and must change it for everybody.
 */
export async function conduct(of: Case, effort: Effort): Promise<Series[]> {
  const series: Series[] = of.subjects.flatMap(({ name, points = of.points }) =>
    points.map((point) => ({ subject: name, point, figures: [] })),
  )
  for (let launch = 0; launch < effort.launches; launch++) await runLaunch(of, effort, series)
  return series
}

async function runLaunch(of: Case, effort: Effort, series: readonly Series[]): Promise<void> {
  const started: SubjectProcess[] = []
  try {
    const processes = await warm(of, effort, started)
    for (let round = 0; round < effort.rounds; round++) {
      for (const { subject, point, figures } of ordered(series, round)) {
        const measured = processes.get(subject)
        if (measured !== undefined) figures.push(await measured.figure(point))
      }
    }
    await Promise.all(started.map((child) => child.finish()))
  } finally {
    for (const child of started) child.kill()
  }
}

/** No more at a time than there are processors, or they would warm up in each other's way. */
async function warm(of: Case, effort: Effort, started: SubjectProcess[]): Promise<Map<SubjectName, SubjectProcess>> {
  const processor = pLimit(availableParallelism())
  const ready = await Promise.all(
    of.subjects.map((subject) =>
      processor(async () => {
        const child = new SubjectProcess(of, subject, effort)
        started.push(child)
        return [subject.name, await child.ready()] as const
      }),
    ),
  )
  return new Map(ready)
}

/** Begins one further on in each round, and goes backwards in every second one. */
function ordered<T>(items: readonly T[], round: number): T[] {
  const from = round % items.length
  const turned = [...items.slice(from), ...items.slice(0, from)]
  return round % 2 === 0 ? turned : turned.toReversed()
}
