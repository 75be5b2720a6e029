import { cases } from '../cases/index.js'
import type { Flags } from '../flags.js'
import type { Effort } from '../harness/case.js'
import { conduct } from '../harness/conduct.js'
import { verdictText } from '../report/print.js'
import { save } from '../report/save.js'
import { onlyFor, verdictOf, type Verdict } from '../report/verdict.js'
import { targets } from '../targets.js'

const effort: Effort = { launches: 5, rounds: 9, roundMs: 20, warmUpMs: 400 }

/** Measures what the targets name, and fails the process when one is missed. */
export async function check(flags: Flags): Promise<void> {
  const verdicts: Verdict[] = []
  for (const one of cases) {
    const its = targets.filter(({ of }) => of === one.name)
    if (its.length === 0 || (flags.only.length > 0 && !flags.only.includes(one.name))) continue
    const given = { ...effort, ...one.effort?.(false), launches: effort.launches }
    const series = await conduct(onlyFor(one, its), given)
    const found = its.map((target) => verdictOf(target, series, given.launches))
    console.log(`${verdictText(found)}\n`)
    verdicts.push(...found)
  }
  const file = save(flags, { verdicts })
  console.log(`All of them\n\n${verdictText(verdicts)}\n\nwritten to ${file}`)
  if (verdicts.some(({ result }) => result === 'missed')) process.exitCode = 1
}
