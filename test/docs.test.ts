import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { loadConfig, monotonic } from '../src/index.js'
import { ManualClock } from '../src/testing.js'

const path = (relative: string): string => fileURLToPath(new URL(`../${relative}`, import.meta.url))
const pages = ['', 'incidents/'].flatMap((folder) =>
  readdirSync(path(`docs/${folder}`)).flatMap((name) => (name.endsWith('.md') ? [`${folder}${name}`] : [])),
)
const read = (page: string): string => readFileSync(path(`docs/${page}`), 'utf8')

/** The code of one language in a page, block by block, each on the line where it stands. */
function blocks(page: string, language: string): string[] {
  const text = read(page)
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(({ index, 1: code }) => {
    const lines = text.slice(0, index).split('\n').length
    return '\n'.repeat(lines) + code!
  })
}

/** Each block is a file beside its page, and knows what `fixtures/docs.ts` declares. */
function problems(files: ReadonlyMap<string, string>): string[] {
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(path('tsconfig.json'), (name) => ts.sys.readFile(name)).config,
    ts.sys,
    path('.'),
  )
  const entry = (name: string): string[] => [path(`src/${name}.ts`)]
  Object.assign(options, {
    noUnusedLocals: false,
    paths: {
      cofferdam: entry('index'),
      'cofferdam/express': entry('express/index'),
      'cofferdam/fastify': entry('fastify/index'),
    },
  })
  const host = ts.createCompilerHost(options)
  host.readFile = (name) => files.get(name) ?? ts.sys.readFile(name)
  host.fileExists = (name) => files.has(name) || ts.sys.fileExists(name)
  const program = ts.createProgram([path('test/types/fixtures/docs.ts'), ...files.keys()], options, host)
  return [...files.keys()].flatMap((name) =>
    ts.getPreEmitDiagnostics(program, program.getSourceFile(name)).map(({ messageText, file, start }) => {
      const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start ?? 0).line + 1
      return `${name} line ${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
    }),
  )
}

/** The import makes it a module, and one that the compiler lets augment another. */
const asFiles = (page: string, code: string[]): [string, string][] =>
  code.map((one, index) => [path(`docs/${page}.${index}.ts`), `import type {} from 'cofferdam/fastify'${one}`])

describe('the pages in docs', () => {
  it('show TypeScript that compiles', { timeout: 60_000 }, () => {
    const files = new Map(pages.flatMap((page) => asFiles(page, blocks(page, 'ts'))))
    expect(files.size).toBeGreaterThan(15)
    expect(problems(files)).toEqual([])
  })

  it('would not pass with an option that does not exist', { timeout: 60_000 }, () => {
    const [file] = asFiles('health.md', [`\nregistry.configure('feed', { timeouts: 5 })`])
    expect(problems(new Map([file!]))).toEqual([expect.stringMatching(/line 2: .*'timeouts' does not exist/)])
  })

  it('point to files that are there', () => {
    const targets = pages.flatMap((page) =>
      [...read(page).matchAll(/\]\(([^)#:]+)[^)]*\)/g)].flatMap(([, to]) =>
        to === 'https' ? [] : [join('docs', dirname(page), to!)],
      ),
    )
    expect(targets.length).toBeGreaterThan(0)
    expect(targets.filter((to) => !existsSync(path(to)))).toEqual([])
  })

  it('show a file that can be loaded', async () => {
    const [file] = blocks('health.md', 'json')
    const clock = new ManualClock()
    const run = (): undefined => undefined
    const { registry, pools, budgets } = loadConfig(JSON.parse(file!), {
      clock,
      code: {
        'orders-write': { invariants: [monotonic('order ids', () => 1)] },
        'zdz-feed': { probe: { run } },
      },
    })
    expect([Object.keys(registry.snapshot()), Object.keys(pools), budgets?.names]).toEqual([
      ['orders-db', 'orders-write', 'zdz-feed'],
      ['db'],
      ['pages', 'callbacks'],
    ])
    await registry.close()
  })
})
