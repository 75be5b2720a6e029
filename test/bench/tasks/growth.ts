import { mkdirSync, writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Flags } from '../flags.js'
import { growths } from '../growth/index.js'
import { plot } from '../growth/plot.js'
import type { Effort } from '../harness/case.js'
import { conduct } from '../harness/conduct.js'
import { outcomeOf, type Outcome } from '../report/outcome.js'
import { caseText } from '../report/print.js'
import { machine, save } from '../report/save.js'

const full: Effort = { launches: 2, rounds: 11, roundMs: 20, warmUpMs: 300 }
const quick: Effort = { launches: 1, rounds: 3, roundMs: 10, warmUpMs: 100 }

/** Cost as work grows. A quick run draws beside its results, and leaves the documentation alone. */
export async function growth(flags: Flags): Promise<void> {
  const folder = fileURLToPath(new URL(flags.quick ? '../results/' : '../../../docs/performance/', import.meta.url))
  mkdirSync(folder, { recursive: true })
  const outcomes: Outcome[] = []
  for (const one of growths) {
    if (flags.only.length > 0 && !flags.only.includes(one.name)) continue
    const outcome = outcomeOf(
      one,
      await conduct(one, { ...(flags.quick ? quick : full), ...one.effort?.(flags.quick) }),
    )
    const file = `${folder}${one.name}.svg`
    writeFileSync(file, plot(outcome, `Medians, Node ${machine().node}`))
    console.log(`${caseText(outcome)}\n\ndrawn into ${relative(process.cwd(), file)}\n`)
    outcomes.push(outcome)
  }
  console.log(`written to ${save(flags, { cases: outcomes })}`)
}
