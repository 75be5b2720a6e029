import { readFileSync } from 'node:fs'
import type { TestProject } from 'vitest/node'
import { install } from './install.js'
import { parts, type Part } from './parts.js'

declare module 'vitest' {
  interface ProvidedContext {
    /** What can't be had, with the reason. */
    missing: Partial<Record<Part, string>>
  }
}

/** Before the suites: installs what those of this run need, and nothing else. */
export default async function setup(project: TestProject): Promise<void> {
  const files = project.vitest.state.getPaths().map((path) => readFileSync(path, 'utf8'))
  const needed = parts.filter((part) => files.some((file) => file.includes(`describeWith('${part}'`)))
  project.provide('missing', await install(needed))
}
