import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'

let child: ChildProcess | undefined

afterEach(() => {
  if (child?.exitCode === null) child.kill('SIGKILL')
})

/** Starts an example and reads from its first line where it listens. */
async function start(example: string): Promise<string> {
  child = spawn(process.execPath, ['--import', 'tsx', `docs/examples/shutdown/${example}.ts`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout!, 'data')) as [Buffer]
  return line.toString().trim()
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (await holds()) return
    await sleep(20)
  }
  throw new Error('it never came to hold')
}

describe.each(['express', 'fastify'])('leaving on SIGTERM (%s)', (example) => {
  it('is not ready from then on, answers the request in flight, and exits with 0', async () => {
    const url = await start(example)
    const ready = async (): Promise<number> => (await fetch(`${url}/ready`)).status
    expect(await ready()).toBe(200)
    const slow = fetch(`${url}/slow`)
    const exited = once(child!, 'exit')
    // The slow request is there before the signal: the readiness after it went the same way.
    expect(await ready()).toBe(200)
    child!.kill('SIGTERM')
    await until(async () => (await ready()) === 503)
    const answer = await slow
    expect([answer.status, await answer.text()]).toEqual([200, 'done\n'])
    expect(await exited).toEqual([0, null])
  })
})
