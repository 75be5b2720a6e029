import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { locate, packages, type Part } from './parts.js'

/** Installs what is missing, where that is allowed. What can't be had is named, with the reason. */
export async function install(parts: Iterable<Part>): Promise<Partial<Record<Part, string>>> {
  const missing: Partial<Record<Part, string>> = {}
  for (const part of parts) {
    if (locate(part) !== undefined) continue
    const reason = await installed(packages[part])
    if (locate(part) === undefined) missing[part] = `${packages[part]} is not installed${reason}`
  }
  return missing
}

/** Says what was in the way. */
async function installed(name: string): Promise<string> {
  if (!existsSync('/usr/bin/apt-get')) return ', and there is no apt-get to install it with'
  const root = asRoot()
  if (root === undefined) return ', and only root may install it'
  console.error(`installing ${name} for the tests`)
  const [program, ...args] = [...root, 'sh', fileURLToPath(new URL('install.sh', import.meta.url)), name]
  const child = spawn(program, args, { cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] })
  const [, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  const errors = stderr.split('\n').filter((line) => line.startsWith('E: '))
  return errors.length === 0 ? '' : `; apt-get: ${errors.at(-1)!.slice(3, 203)}`
}

/** What to put before a command that needs root; nothing if there is no such thing. */
function asRoot(): string[] | undefined {
  if (process.getuid?.() === 0) return []
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : undefined
}
