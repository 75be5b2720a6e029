import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'

/** Each fixture is a program of its own: what it tells the compiler of its budgets must not reach another. */
function compile(fixture: string): string[] {
  const file = fileURLToPath(new URL(`./fixtures/${fixture}.ts`, import.meta.url))
  const root = fileURLToPath(new URL('../../tsconfig.json', import.meta.url))
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(root, (path) => ts.sys.readFile(path)).config,
    ts.sys,
    '.',
  )
  const program = ts.createProgram([file], options)
  const source = program.getSourceFile(file)
  return ts
    .getPreEmitDiagnostics(program, source)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
}

describe.each(['express', 'fastify'])('the name of a budget on %s', (framework) => {
  it('compiles when it is one', { timeout: 60_000 }, () => {
    expect(compile(`${framework}-good`)).toEqual([])
  })

  it('fails tsc when it is misspelled', { timeout: 60_000 }, () => {
    expect(compile(`${framework}-misspelled`).join('\n')).toMatch(/"ajaxx"' is not assignable/)
  })
})
