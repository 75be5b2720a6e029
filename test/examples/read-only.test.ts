import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { afterEach, expect, it } from 'vitest'

let child: ChildProcess | undefined

afterEach(() => {
  if (child?.exitCode === null) child.kill('SIGKILL')
})

it('the read-only mode refuses writes from the first bad id to the repair, while reads go on, and exits with 0', async () => {
  child = spawn(process.execPath, ['--import', 'tsx', 'docs/examples/read-only/main.ts'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [told, exit] = await Promise.all([text(child.stdout!), once(child, 'exit')])
  for (const step of ['refused: ERR_INVARIANT', 'refused: ERR_UNAVAILABLE', 'order 1001 was saved', 'given twice'])
    expect(told).toContain(step)
  expect(exit).toEqual([0, null])
})
