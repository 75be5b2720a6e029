import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Flags } from '../flags.js'
import type { Verdict } from './verdict.js'

const folder = fileURLToPath(new URL('../results/', import.meta.url))
const modules = fileURLToPath(new URL('../../../node_modules/', import.meta.url))
const peers = ['opossum', 'cockatiel', 'mollitia', 'p-limit', 'p-timeout', 'p-timeout8', 'lru-cache']

export interface Machine {
  readonly node: string
  readonly v8: string
  readonly cpu: string
  readonly processors: number
}

/** What a run of `--check` has left behind. */
export interface Checked extends Machine {
  readonly date: string
  readonly verdicts: readonly Verdict[]
}

export function machine(): Machine {
  return {
    node: process.versions.node,
    v8: process.versions.v8,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    processors: availableParallelism(),
  }
}

/** Writes what was found as JSON, a file for each major of Node, and returns it, relative to the working directory. */
export function save(flags: Flags, found: object): string {
  const file = `${folder}${fileName(flags)}`
  const results = {
    date: new Date().toISOString(),
    ...machine(),
    quick: flags.quick,
    peers: Object.fromEntries(peers.map((name) => [name, versionOf(name)])),
    ...found,
  }
  mkdirSync(folder, { recursive: true })
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`)
  return relative(process.cwd(), file)
}

/** What a whole `--check` found, on each major of Node that it ran on, the oldest first. */
export function checked(): Checked[] {
  if (!existsSync(folder)) return []
  const files = readdirSync(folder).filter((name) => /^\d+-check\.json$/.test(name))
  return files
    .sort((a, b) => parseInt(a) - parseInt(b))
    .map((name) => JSON.parse(readFileSync(`${folder}${name}`, 'utf8')) as Checked)
}

/** A partial or quick run doesn't overwrite a full one. */
function fileName({ task, quick, only }: Flags): string {
  const major = process.versions.node.split('.', 1)
  return `${[...major, ...(task === 'measure' ? [] : [task]), ...only, ...(quick ? ['quick'] : [])].join('-')}.json`
}

/** Read from the file: most of these packages don't export their manifest. */
function versionOf(name: string): string {
  const manifest: unknown = JSON.parse(readFileSync(`${modules}${name}/package.json`, 'utf8'))
  const { version } = manifest as { version: string }
  return version
}
