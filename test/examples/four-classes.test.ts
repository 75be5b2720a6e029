import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'

let child: ChildProcess | undefined

afterEach(() => {
  if (child?.exitCode === null) child.kill('SIGKILL')
})

describe.each(['express', 'fastify'])('four classes of route (%s)', (example) => {
  it('answers every page while the callbacks hang and while they are paused, and exits with 0', async () => {
    child = spawn(process.execPath, ['--import', 'tsx', `docs/examples/four-classes/${example}.ts`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [told, exit] = await Promise.all([text(child.stdout!), once(child, 'exit')])
    for (const step of ['all is well', 'the comments hang', 'callbacks are paused', 'every page was answered'])
      expect(told).toContain(step)
    expect(exit).toEqual([0, null])
  })
})
