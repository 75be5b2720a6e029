import { parseArgs } from 'node:util'

/** What is asked of the bench. `figures` measures nothing. */
export type Task = 'measure' | 'check' | 'growth' | 'figures'

export interface Flags {
  readonly task: Task
  readonly quick: boolean
  /** Names of cases; all of the task's when empty. */
  readonly only: readonly string[]
}

/** The cases of each task. */
export type CaseNames = Readonly<Record<Task, readonly string[]>>

export class FlagError extends Error {}

export const usage = (
  names: CaseNames,
): string => `usage: npm run bench -- [--quick | --check | --growth | --figures] [--only <case>]...

  --quick        fewer rounds, under a minute in all: rough figures, for CI; also with --growth
  --check        holds the ratios to targets.ts, in 5 runs, and exits 1 when one is missed by more than a tenth
  --growth       cost as work grows, drawn into docs/performance
  --figures      writes what --check has found, on each Node that it ran on, into docs/performance.md
  --only <case>  just this case, may be repeated: ${names.measure.join(', ')};
                 with --growth: ${names.growth.join(', ')}`

export function parseFlags(args: readonly string[], names: CaseNames): Flags {
  const { quick = false, only = [], ...tasks } = parsed(args)
  const asked = (['check', 'growth', 'figures'] as const).filter((task) => tasks[task] === true)
  if (asked.length > 1) throw new FlagError(`--${asked.join(' and --')} don't go together`)
  const [task = 'measure'] = asked
  if (quick && (task === 'check' || task === 'figures')) throw new FlagError(`--quick and --${task} don't go together`)
  for (const name of only)
    if (!names[task].includes(name))
      throw new FlagError(`no case${task === 'measure' ? '' : ` of --${task}`} is called "${name}"`)
  return { task, quick, only }
}

interface Given {
  quick?: boolean
  check?: boolean
  growth?: boolean
  figures?: boolean
  only?: string[]
}

function parsed(args: readonly string[]): Given {
  const flag = { type: 'boolean' } as const
  try {
    return parseArgs({
      args: [...args],
      options: { quick: flag, check: flag, growth: flag, figures: flag, only: { type: 'string', multiple: true } },
    }).values
  } catch (error) {
    throw new FlagError(error instanceof Error ? error.message : String(error))
  }
}
