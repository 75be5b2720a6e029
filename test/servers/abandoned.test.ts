import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { expect, it, onTestFinished } from 'vitest'
import { describeWith } from '../support/servers/describe-with.js'
import { alive } from '../support/servers/family.js'
import { until } from '../support/web/until.js'

interface Abandoned {
  pid: number
  directory: string
}

/** A program that starts a server and never stops it. */
async function start(how: 'stay' | 'end'): Promise<{ program: ChildProcess; server: Abandoned }> {
  const program = spawn(process.execPath, ['--import', 'tsx', 'test/servers/fixtures/abandoned.ts', how], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void program.kill('SIGKILL'))
  const [line] = (await once(program.stdout, 'data')) as [Buffer]
  return { program, server: JSON.parse(line.toString()) as Abandoned }
}

const left = ({ pid, directory }: Abandoned): boolean => alive(pid) || existsSync(directory)

describeWith('redis', 'a server that nobody stops', () => {
  it('goes when its program is killed', async () => {
    const { program, server } = await start('stay')
    expect(left(server)).toBe(true)
    program.kill('SIGKILL')
    await until(() => !left(server), 'nothing is left')
  })

  it('keeps no program from ending, and goes with it', async () => {
    const { program, server } = await start('end')
    if (program.exitCode === null) await once(program, 'exit')
    expect(program.exitCode).toBe(0)
    await until(() => !left(server), 'nothing is left')
  })
})
