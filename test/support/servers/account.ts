import { execFileSync } from 'node:child_process'

/** A user to run as. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

/** The first of these users that exists, when we are root: PostgreSQL and memcached refuse to run as root. */
export function account(...names: readonly string[]): Account | undefined {
  if (process.getuid?.() !== 0) return undefined
  for (const name of names) {
    const ids = ['-u', '-g'].map((which) => idOf(name, which))
    if (ids.every((id) => id !== undefined)) return { uid: ids[0]!, gid: ids[1]! }
  }
  throw new Error(`none of these users exists: ${names.join(', ')}`)
}

function idOf(name: string, which: string): number | undefined {
  try {
    return Number(execFileSync('id', [which, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))
  } catch {
    return undefined
  }
}
