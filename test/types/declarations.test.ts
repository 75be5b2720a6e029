import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { expect, it } from 'vitest'

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

it('the published declarations compile by themselves, also where libraries are checked', { timeout: 60_000 }, () => {
  const fixture = path('fixtures/consumer.ts')
  const program = ts.createProgram([fixture], {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
    types: ['node'],
    strict: true,
    noEmit: true,
    skipLibCheck: false,
  })
  const dist = path('../../dist/')
  const ours = program.getSourceFiles().filter(({ fileName }) => fileName === fixture || fileName.startsWith(dist))
  expect(ours.length).toBeGreaterThan(50)
  const told = ts
    .getPreEmitDiagnostics(program)
    .filter(({ file }) => file === undefined || ours.includes(file))
    .map(({ file, messageText }) => `${file?.fileName ?? ''}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`)
  expect(told).toEqual([])
})
