import { cases } from './cases/index.js'
import { FlagError, parseFlags, usage, type CaseNames, type Flags, type Task } from './flags.js'
import { growths } from './growth/index.js'
import { machine } from './report/save.js'
import { targets } from './targets.js'
import { check } from './tasks/check.js'
import { figures } from './tasks/figures.js'
import { growth } from './tasks/growth.js'
import { measure } from './tasks/measure.js'

const tasks: Record<Task, (flags: Flags) => void | Promise<void>> = { measure, check, growth, figures }
const names: CaseNames = {
  measure: cases.map(({ name }) => name),
  check: [...new Set(targets.map(({ of }) => of))],
  growth: growths.map(({ name }) => name),
  figures: [],
}

try {
  const flags = parseFlags(process.argv.slice(2), names)
  const { node, cpu, processors } = machine()
  console.log(`Node ${node}, ${cpu}, ${processors} processors\n`)
  await tasks[flags.task](flags)
} catch (error) {
  if (!(error instanceof FlagError)) throw error
  console.error(`${error.message}\n\n${usage(names)}`)
  process.exitCode = 2
}
