import { parseArgs } from 'node:util'

export interface Flags {
  readonly quick: boolean
  /** Names of cases; all of them when empty. */
  readonly only: readonly string[]
}

export class FlagError extends Error {}

export const usage = (caseNames: readonly string[]): string => `usage: npm run bench -- [--quick] [--only <case>]...

  --quick        fewer rounds, under a minute in all: rough figures, for CI
  --only <case>  just this case, may be repeated: ${caseNames.join(', ')}`

export function parseFlags(args: readonly string[], caseNames: readonly string[]): Flags {
  const { quick = false, only = [] } = parsed(args)
  for (const name of only) {
    if (!caseNames.includes(name)) throw new FlagError(`no case is called "${name}"`)
  }
  return { quick, only }
}

function parsed(args: readonly string[]): { quick?: boolean; only?: string[] } {
  try {
    return parseArgs({
      args: [...args],
      options: { quick: { type: 'boolean' }, only: { type: 'string', multiple: true } },
    }).values
  } catch (error) {
    throw new FlagError(error instanceof Error ? error.message : String(error))
  }
}
