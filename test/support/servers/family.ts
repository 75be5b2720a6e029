import { existsSync, readdirSync, readFileSync } from 'node:fs'

const proc = existsSync('/proc/self/stat')

/** Whether a process is there; one that only waits to be reaped is not. */
export function alive(pid: number): boolean {
  if (proc) return parentOf(pid) !== undefined
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** All that descend from a process; nobody where there is no /proc. */
export function descendants(pid: number): number[] {
  if (!proc) return []
  const everyone = readdirSync('/proc')
    .map(Number)
    .filter(Number.isInteger)
    .map((one) => ({ pid: one, parent: parentOf(one) }))
  const under = (parent: number): number[] =>
    everyone.filter((one) => one.parent === parent).flatMap((one) => [one.pid, ...under(one.pid)])
  return under(pid)
}

/** Sends a signal to one that may have ended meanwhile. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The program's name comes first, in parentheses, and may hold anything.
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state === 'Z' || state === 'X' ? undefined : Number(parent)
  } catch {
    return undefined
  }
}
