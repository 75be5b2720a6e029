import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import KeyvRedis from '@keyv/redis'
import { Keyv } from 'keyv'
import { expect, it, onTestFinished } from 'vitest'
import { createRegistry } from '../../../src/registry.js'
import { keyOf } from '../../support/second-level.js'
import { describeWith } from '../../support/servers/describe-with.js'
import { startRedis } from '../../support/servers/redis.js'

/** How often the other process loads it anew, ms. */
const EVERY = 2_000

interface Value {
  text: string
  by: number
}

/** A dependency over HTTP that hangs on command, and knows who has called it. */
async function aDependency() {
  const asked = { request: 0, refresher: 0 }
  const state = { text: 'first', hangs: false }
  const server = createServer((request, response) => {
    asked[request.url!.startsWith('/refresher/') ? 'refresher' : 'request']++
    if (!state.hangs) response.end(state.text)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { asked, state, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

function aRefresher(redis: string, source: string): ChildProcess {
  const fixture = fileURLToPath(new URL('fixtures/refresher.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', fixture, redis, source, `${EVERY}`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

async function killed(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit')
  process.kill(child.pid!, 'SIGKILL')
  expect(await gone).toEqual([null, 'SIGKILL'])
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(10)
}

describeWith('redis', '1. live: false, a refresher in another process and a dependency that hangs', () => {
  it('no request calls it, answers tell their age, and what a restarted refresher writes is seen within its interval', async () => {
    const redis = await startRedis()
    onTestFinished(() => redis.stop())
    const { asked, state, url } = await aDependency()
    const [store, raw] = [new Keyv(new KeyvRedis(redis.url)), new Keyv(new KeyvRedis(redis.url))]
    onTestFinished(async () => {
      await Promise.all([store.disconnect(), raw.disconnect()])
    })
    const load = createRegistry()
      .dependency('feed', { stale: { store } })
      .wrap(
        async (_, id: string): Promise<Value> => ({ text: await (await fetch(`${url}/request/${id}`)).text(), by: 0 }),
        {
          name: 'load',
          key: (id) => id,
          scope: 'public',
          live: false,
        },
      )
    const stored = async (): Promise<Value | undefined> => (await raw.get<{ value: Value }>(keyOf('a')))?.value
    await expect(load('a')).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })

    const before = aRefresher(redis.url, url)
    await until(async () => (await stored()) !== undefined)
    await until(() => load('a').then(Boolean, () => false))
    expect(await load.outcome('a')).toMatchObject({ value: { text: 'first', by: before.pid }, source: 'stale' })

    state.hangs = true
    const hung = asked.refresher
    await until(() => asked.refresher > hung)
    await killed(before)
    // No write is on its way any more: from here on nothing makes it younger.
    await until(async () => {
      const { age } = await load.outcome('a')
      await sleep(20)
      return (await load.outcome('a')).age >= age + 20
    })
    const from = performance.now()
    const { age } = await load.outcome('a')
    await until(async () => {
      const asking = performance.now()
      const later = await load.outcome('a')
      expect(later).toMatchObject({ value: { text: 'first', by: before.pid }, source: 'stale' })
      expect(later.age).toBeGreaterThanOrEqual(age + (asking - from) - 50)
      expect(later.age).toBeLessThanOrEqual(age + (performance.now() - from) + 50)
      return later.age > 2 * EVERY
    })

    state.text = 'second'
    state.hangs = false
    const after = aRefresher(redis.url, url)
    await until(async () => (await stored())?.text === 'second')
    const written = performance.now()
    await until(async () => (await load('a')).text === 'second')
    expect(performance.now() - written).toBeLessThanOrEqual(EVERY)
    expect((await load('a')).by).toBe(after.pid)
    expect(asked.request).toBe(0)
  }, 60_000)
})
