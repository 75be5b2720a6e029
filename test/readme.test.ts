import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')

interface Manifest {
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
}

describe('the README', () => {
  it('shows the code of the example that CI runs', () => {
    const code = /\/\/ #region readme\n(.*?)\/\/ #endregion/s.exec(read('docs/examples/quick-start.ts'))![1]!
    expect(read('README.md')).toContain('```ts\n' + code + '```')
  })

  it('gives a reason for every dependency', () => {
    const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Manifest
    const readme = read('README.md').split('## Dependencies')[1]!
    const named = (name: string): boolean => readme.includes(`\`${name}\``)
    const missing = [...Object.keys(dependencies), ...Object.keys(devDependencies)].filter((name) => !named(name))
    // Types of a package that is named need no reason of their own.
    expect(missing.filter((name) => !name.startsWith('@types/'))).toEqual([])
  })
})
