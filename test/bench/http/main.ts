// What a guarded hello route costs against the bare framework, in one run: `npm run bench:http [-- --quick]`.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import autocannon from 'autocannon'

interface Server {
  child: ChildProcess
  url: string
}

interface Round {
  perSecond: number
  /** CPU time of the server a request, µs: unlike requests a second it doesn't depend on the client's speed. */
  cpu: number
}

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } })
const rounds = values.quick ? 3 : 9
const seconds = values.quick ? 1 : 3
const frameworks = ['express', 'fastify'] as const
const variants = ['bare', 'guarded'] as const

async function start(framework: string, variant: string): Promise<Server> {
  const child = fork(fileURLToPath(new URL('server.ts', import.meta.url)), [framework, variant])
  const [{ url }] = (await once(child, 'message')) as [{ url: string }]
  return { child, url }
}

async function cpuOf({ child }: Server): Promise<number> {
  child.send('cpu')
  const [{ cpu }] = (await once(child, 'message')) as [{ cpu: NodeJS.CpuUsage }]
  return cpu.user + cpu.system
}

async function load(server: Server, duration: number): Promise<Round> {
  const before = await cpuOf(server)
  const result = await autocannon({ url: server.url, connections: 32, duration })
  if (result.non2xx > 0 || result.errors > 0) throw new Error(`${result.non2xx} bad answers, ${result.errors} errors`)
  const requests = result['2xx']
  return { perSecond: requests / result.duration, cpu: ((await cpuOf(server)) - before) / requests }
}

const median = (all: number[]): number => [...all].sort((a, b) => a - b)[all.length >> 1]!

const report: Record<string, { perSecond: number; cpu: number }> = {}
for (const framework of frameworks) {
  const servers = { bare: await start(framework, 'bare'), guarded: await start(framework, 'guarded') }
  for (const variant of variants) await load(servers[variant], 1)
  const ratios: { perSecond: number[]; cpu: number[] } = { perSecond: [], cpu: [] }
  for (let round = 0; round < rounds; round++) {
    // In turn, and each in front every other time.
    const order = round % 2 === 0 ? variants : ([...variants].reverse() as unknown as typeof variants)
    const figures: Partial<Record<(typeof variants)[number], Round>> = {}
    for (const variant of order) figures[variant] = await load(servers[variant], seconds)
    ratios.perSecond.push(figures.guarded!.perSecond / figures.bare!.perSecond)
    ratios.cpu.push(figures.bare!.cpu / figures.guarded!.cpu)
    console.log(
      `${framework.padEnd(8)} ${Math.round(figures.bare!.perSecond)} requests a second bare, ` +
        `${Math.round(figures.guarded!.perSecond)} guarded; ` +
        `${figures.bare!.cpu.toFixed(1)} and ${figures.guarded!.cpu.toFixed(1)} µs of CPU each`,
    )
  }
  report[framework] = { perSecond: median(ratios.perSecond), cpu: median(ratios.cpu) }
  for (const { child } of Object.values(servers)) child.disconnect()
}

for (const [framework, { perSecond, cpu }] of Object.entries(report))
  console.log(`${framework}: guarded ÷ bare ${perSecond.toFixed(2)} in requests a second, ${cpu.toFixed(2)} by CPU`)
const file = fileURLToPath(new URL(`../results/http-${process.versions.node.split('.')[0]}.json`, import.meta.url))
mkdirSync(fileURLToPath(new URL('../results', import.meta.url)), { recursive: true })
writeFileSync(file, JSON.stringify({ node: process.version, report }, null, 2))
console.log(relative(process.cwd(), file))
