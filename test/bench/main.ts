import { cases } from './cases/index.js'
import { FlagError, parseFlags, usage } from './flags.js'
import type { Case, Effort } from './harness/case.js'
import { conduct } from './harness/conduct.js'
import { outcomeOf, type Outcome } from './report/outcome.js'
import { caseText, summaryText } from './report/print.js'
import { machine, save } from './report/save.js'

const full: Effort = { launches: 3, rounds: 30, roundMs: 20, warmUpMs: 400 }
const quick: Effort = { launches: 1, rounds: 11, roundMs: 12, warmUpMs: 200 }

const names = cases.map(({ name }) => name)
try {
  await bench()
} catch (error) {
  if (!(error instanceof FlagError)) throw error
  console.error(`${error.message}\n\n${usage(names)}`)
  process.exitCode = 2
}

async function bench(): Promise<void> {
  const flags = parseFlags(process.argv.slice(2), names)
  const { node, cpu, processors } = machine()
  console.log(`Node ${node}, ${cpu}, ${processors} processors\n`)
  const outcomes: Outcome[] = []
  for (const one of cases) {
    if (flags.only.length > 0 && !flags.only.includes(one.name)) continue
    const outcome = outcomeOf(one, await conduct(one, effortFor(one, flags.quick)))
    console.log(`${caseText(outcome)}\n`)
    outcomes.push(outcome)
  }
  console.log(`${summaryText(outcomes)}\n\nwritten to ${save(outcomes, flags)}`)
}

function effortFor({ effort }: Case, isQuick: boolean): Effort {
  return { ...(isQuick ? quick : full), ...effort?.(isQuick) }
}
