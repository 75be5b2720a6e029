import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { describeWith } from '../support/servers/describe-with.js'
import { alive, descendants } from '../support/servers/family.js'
import { until } from '../support/web/until.js'

describeWith('postgres', 'npm run incidents, interrupted', () => {
  it('leaves no process and no directory', { timeout: 120_000 }, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'interrupted-'))
    // The server may run as another user.
    chmodSync(directory, 0o755)
    onTestFinished(() => {
      rmSync(directory, { recursive: true, force: true })
    })
    // A group of its own, as a terminal's: Ctrl-C reaches all of it.
    const program = spawn(process.execPath, ['--import', 'tsx', 'docs/examples/incidents/main.ts', 'zdz'], {
      detached: true,
      env: { ...process.env, TMPDIR: directory },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => {
      if (program.exitCode === null && program.signalCode === null) process.kill(-program.pid!, 'SIGKILL')
    })
    // Others leave theirs: tsx keeps what it has compiled.
    const ours = (): string[] => readdirSync(directory).filter((name) => name.startsWith('cofferdam-'))
    let told = ''
    program.stdout.on('data', (text: Buffer) => (told += text.toString()))
    await until(() => told.includes('locked'), 'the table is locked', 60_000)
    const family = descendants(program.pid!)
    expect(family.length).toBeGreaterThan(3)
    expect(ours()).not.toEqual([])
    const ended = once(program, 'exit')
    process.kill(-program.pid!, 'SIGINT')
    await ended
    await until(() => !family.some(alive) && ours().length === 0, 'nothing is left', 20_000)
  })
})
