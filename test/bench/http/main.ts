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
/** `scope`: nothing but an AsyncLocalStorage, the least that a guard can cost. */
const variants = ['bare', 'scope', 'guarded'] as const
type Variant = (typeof variants)[number]

async function start(framework: string, variant: Variant): Promise<Server> {
  const child = fork(fileURLToPath(new URL('server.ts', import.meta.url)), [framework, variant], {
    // As it would be where it counts: in development templates are given a snapshot that throws.
    env: { ...process.env, NODE_ENV: 'production' },
  })
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

interface Ratio {
  perSecond: number
  cpu: number
}

const report: Record<string, Record<string, Ratio>> = {}
for (const framework of frameworks) {
  const servers = new Map<Variant, Server>()
  for (const variant of variants) servers.set(variant, await start(framework, variant))
  for (const server of servers.values()) await load(server, 1)
  const rows: Record<Variant, Round>[] = []
  for (let round = 0; round < rounds; round++) {
    const row: Partial<Record<Variant, Round>> = {}
    // In turn, and each in front as often as the others.
    for (let i = 0; i < variants.length; i++) {
      const variant = variants[(i + round) % variants.length]!
      row[variant] = await load(servers.get(variant)!, seconds)
    }
    rows.push(row as Record<Variant, Round>)
    const told = variants.map((of) => `${of} ${Math.round(row[of]!.perSecond)}/s ${row[of]!.cpu.toFixed(1)} µs`)
    console.log(`${framework.padEnd(8)} ${told.join(', ')} of CPU each`)
  }
  const against = (of: Variant, base: Variant): Ratio => ({
    perSecond: median(rows.map((row) => row[of].perSecond / row[base].perSecond)),
    cpu: median(rows.map((row) => row[base].cpu / row[of].cpu)),
  })
  report[framework] = {
    'guarded ÷ bare': against('guarded', 'bare'),
    'scope ÷ bare': against('scope', 'bare'),
    'guarded ÷ scope': against('guarded', 'scope'),
  }
  for (const { child } of servers.values()) child.disconnect()
}

for (const [framework, ratios] of Object.entries(report))
  for (const [name, { perSecond, cpu }] of Object.entries(ratios))
    console.log(`${framework}: ${name} ${perSecond.toFixed(2)} in requests a second, ${cpu.toFixed(2)} by CPU`)
const file = fileURLToPath(new URL(`../results/http-${process.versions.node.split('.')[0]}.json`, import.meta.url))
mkdirSync(fileURLToPath(new URL('../results', import.meta.url)), { recursive: true })
writeFileSync(file, JSON.stringify({ node: process.version, report }, null, 2))
console.log(relative(process.cwd(), file))
