import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'

/** A process that is loaded and has begun nothing. */
async function loaded(program: string, args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--import', 'tsx', program, ...args], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const [word] = (await Promise.race([once(child, 'message'), once(child, 'exit')])) as [unknown]
  if (word !== 'loaded') throw new Error(`${program} ended with ${String(word)} before it began`)
  return child
}

export interface Supervisor {
  /** @returns how long it took, from the first one's beginning to the last one's end, ms */
  run: () => Promise<number>
}

/**
 * Starts a process anew as soon as it has ended, but at most once in `every` ms. All are loaded before the first one
 * begins, two at a time, as loading takes longer than that; each is a process of its own, and they run one after the other.
 */
export async function supervisor(
  program: string,
  args: readonly string[],
  { times, every }: { times: number; every: number },
): Promise<Supervisor> {
  const children: ChildProcess[] = []
  onTestFinished(() => {
    for (const child of children) child.kill('SIGKILL')
  })
  const load = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) children.push(await loaded(program, args))
  }
  await Promise.all([load(Math.ceil(times / 2)), load(Math.floor(times / 2))])
  return {
    run: async () => {
      const began = performance.now()
      for (const [i, child] of children.entries()) {
        await sleep(began + i * every - performance.now())
        const ended = once(child, 'exit')
        child.send('begin')
        const [code] = (await ended) as [number | null]
        if (code !== 1) throw new Error(`it ended with ${code}, not as it should`)
      }
      return performance.now() - began
    },
  }
}
