import { inBatches } from '../cases/concurrent.js'
import { subjects, type Case } from '../harness/case.js'
import { timed } from '../harness/timed.js'

export const concurrency: Case = {
  name: 'concurrency',
  title: 'Calls at once, all begun before the first of them ends',
  unit: 'ns a call',
  pointIs: 'calls at once',
  points: [1, 10, 100, 1_000, 10_000, 100_000],
  subjects: subjects('raw', 'floor', 'cofferdam', 'opossum'),
  prepare: (build, points, effort) => timed(points, effort, (atOnce) => inBatches(build, atOnce)),
}
