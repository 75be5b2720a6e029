import { cases } from '../cases/index.js'
import type { Flags } from '../flags.js'
import type { Effort } from '../harness/case.js'
import { conduct } from '../harness/conduct.js'
import { outcomeOf, type Outcome } from '../report/outcome.js'
import { caseText, summaryText } from '../report/print.js'
import { save } from '../report/save.js'

const full: Effort = { launches: 3, rounds: 30, roundMs: 20, warmUpMs: 400 }
const quick: Effort = { launches: 1, rounds: 5, roundMs: 12, warmUpMs: 100 }

/** Every subject of every case. */
export async function measure(flags: Flags): Promise<void> {
  const outcomes: Outcome[] = []
  for (const one of cases) {
    if (flags.only.length > 0 && !flags.only.includes(one.name)) continue
    const effort = { ...(flags.quick ? quick : full), ...one.effort?.(flags.quick) }
    const outcome = outcomeOf(one, await conduct(one, effort))
    console.log(`${caseText(outcome)}\n`)
    outcomes.push(outcome)
  }
  const file = save(flags, { cases: outcomes })
  console.log(`${summaryText(outcomes)}\n\nwritten to ${file}`)
}
