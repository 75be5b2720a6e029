import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const run = promisify(execFile)

it('the rehearsed portal: the page that waits for its comments stops with them, the guarded one answers', async () => {
  const { stdout } = await run(process.execPath, ['--import', 'tsx', 'docs/examples/four-classes/rehearsal.ts'])
  const rows = stdout.trim().split('\n').slice(1, -1)
  expect(rows).toHaveLength(12)
  const lost = rows.filter((row) => !row.includes('10 of 10'))
  expect(lost.map((row) => row.split(/ {2,}/).slice(0, 3))).toEqual(
    ['hung', 'failing', 'slow'].map((fault) => [`comments ${fault}`, 'the page that waits for all', '0 of 10']),
  )
  expect(stdout.trim().split('\n').at(-1)).toBe('stopped: the page that waits for all')
})
