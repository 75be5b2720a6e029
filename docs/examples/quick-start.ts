// A feed that is asked for in the course of a page: live, then hung, then gone, then back.
// `npm run build && npx tsx docs/examples/quick-start.ts`
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
// #region readme
import { createRegistry } from 'cofferdam'

const registry = createRegistry()
const feed = registry.dependency('feed', { timeout: 200, circuit: { openFor: 1_000 } })

const loadFeed = feed.wrap(
  async ({ signal }, category: string) => {
    const response = await fetch(`${base}/feed/${category}`, { signal })
    if (!response.ok) throw new Error(`the feed answered ${response.status}`)
    return (await response.json()) as string[]
  },
  { name: 'load-feed', key: (category) => category, scope: 'public', fallback: { value: [] } },
)
// #endregion

let behaviour: 'healthy' | 'hangs' | 'fails' = 'healthy'
const upstream = createServer((request, response) => {
  if (behaviour === 'hangs') return
  response.statusCode = behaviour === 'fails' ? 500 : 200
  response.end(JSON.stringify([`news of ${request.url ?? ''}`]))
})
upstream.listen(0, '127.0.0.1')
await once(upstream, 'listening')
const base = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`

async function show(what: string): Promise<void> {
  const { value, source, age } = await loadFeed.outcome('art')
  console.log(`${what.padEnd(34)} ${source.padEnd(8)} ${String(Math.round(age)).padStart(4)} ms old  ${value.join()}`)
}

registry.on('flip', ({ dependency, mode, cause }) => {
  console.log(`  -> ${dependency} is ${mode}: ${cause.reason}`)
})

await show('healthy')
behaviour = 'hangs'
await show('hangs: the timeout answers')
await Promise.all(Array.from({ length: 10 }, () => loadFeed('art')))
await show('known to be unavailable')
const { value, source } = await loadFeed.outcome('music')
console.log(`${'never seen: the fallback'.padEnd(34)} ${source.padEnd(8)} ${JSON.stringify(value)}`)
behaviour = 'healthy'
while (!registry.snapshot().feed?.available) await new Promise((resolve) => setTimeout(resolve, 50))
await show('worth calling again: the trial')
await registry.close()
upstream.closeAllConnections()
upstream.close()
