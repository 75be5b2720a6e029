import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Flags } from '../flags.js'
import type { Outcome } from './outcome.js'

const folder = fileURLToPath(new URL('../results/', import.meta.url))
const modules = fileURLToPath(new URL('../../../node_modules/', import.meta.url))
const peers = ['opossum', 'cockatiel', 'mollitia', 'p-limit', 'p-timeout', 'lru-cache']

export interface Machine {
  readonly node: string
  readonly v8: string
  readonly cpu: string
  readonly processors: number
}

export function machine(): Machine {
  return {
    node: process.versions.node,
    v8: process.versions.v8,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    processors: availableParallelism(),
  }
}

/** Writes the results as JSON and returns the file, relative to the working directory. */
export function save(outcomes: readonly Outcome[], flags: Flags): string {
  const file = `${folder}${fileName(flags)}`
  const results = {
    date: new Date().toISOString(),
    ...machine(),
    quick: flags.quick,
    peers: Object.fromEntries(peers.map((name) => [name, versionOf(name)])),
    cases: outcomes,
  }
  mkdirSync(folder, { recursive: true })
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`)
  return relative(process.cwd(), file)
}

/** A partial or quick run doesn't overwrite a full one. */
function fileName({ quick, only }: Flags): string {
  const major = process.versions.node.split('.', 1)
  return `${[major, ...only, ...(quick ? ['quick'] : [])].join('-')}.json`
}

/** Read from the file: most of these packages don't export their manifest. */
function versionOf(name: string): string {
  const manifest: unknown = JSON.parse(readFileSync(`${modules}${name}/package.json`, 'utf8'))
  const { version } = manifest as { version: string }
  return version
}
