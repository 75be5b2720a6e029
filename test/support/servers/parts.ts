import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** A real program that some suites need, and Debian's name for its package. */
export const packages = {
  postgres: 'postgresql',
  redis: 'redis-server',
  memcached: 'memcached',
  chromium: 'chromium',
} as const

export type Part = keyof typeof packages

export const parts = Object.keys(packages) as Part[]

const programs: Record<Part, string> = {
  postgres: 'postgres',
  redis: 'redis-server',
  memcached: 'memcached',
  chromium: 'chromium',
}

/** Where the program is, if it is anywhere; for `executablePath` of playwright-core, say. */
export function locate(part: Part): string | undefined {
  const onPath = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
  const folders = [...(part === 'postgres' ? postgresFolders() : []), ...onPath, '/usr/bin']
  const found = folders.map((folder) => join(folder, programs[part])).find((path) => existsSync(path))
  // PostgreSQL's other programs stand beside the real one, and not beside a link to it.
  return found !== undefined && part === 'postgres' ? realpathSync(found) : found
}

/** Debian keeps PostgreSQL off the PATH, a folder for each major; the newest first. */
function postgresFolders(): string[] {
  const top = '/usr/lib/postgresql'
  if (!existsSync(top)) return []
  const majors = readdirSync(top).sort((a, b) => Number(b) - Number(a))
  return majors.map((major) => join(top, major, 'bin'))
}
