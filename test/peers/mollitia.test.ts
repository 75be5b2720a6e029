import { expect, test } from 'vitest'
import { createRegistry, type RegistryEvents } from '../../src/index.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch } from '../support/calls.js'
import { gate } from '../support/gate.js'
import { rig } from '../support/rig.js'

const down = new Error('down')
const circuit = { minimumCalls: 4, consecutiveFailures: false } as const

test.each([
  ['only watched', { enforce: false, circuit }],
  ['open', { circuit }],
])("a cache beside a circuit that is %s never serves one key's value for another", async (_, options) => {
  const { dependency } = rig({ ...options, stale: { freshFor: 1_000 } })
  let fails = false
  const load = dependency.wrap((_, id: string) => (fails ? Promise.reject(down) : Promise.resolve(`value of ${id}`)), {
    key: (id) => id,
    scope: 'public',
    freshFor: 0,
  })
  for (const id of ['a', 'b']) await load(id)
  fails = true
  for (let i = 0; i < 4; i++) await load('a')
  expect(dependency.health().wouldBe).toBe('unavailable')
  expect([await load('a'), await load('b')]).toEqual(['value of a', 'value of b'])
  await expect(load('c')).rejects.toThrow()
})

test("two operations, and two owners, with the same key never see each other's values", async () => {
  const { dependency } = rig({ stale: { freshFor: 1_000 } })
  const made = (what: string) =>
    dependency.wrap((_, owner: string, id: string) => `${what} ${id} of ${owner}`, {
      name: what,
      key: (_owner, id) => id,
      scope: (owner) => owner,
    })
  const [name, photo] = [made('name'), made('photo')]
  for (let i = 0; i < 2; i++) {
    expect([await name('ann', '1'), await name('bob', '1')]).toEqual(['name 1 of ann', 'name 1 of bob'])
    expect(await photo('ann', '1')).toBe('photo 1 of ann')
  }
  expect(name.cache.counts()).toMatchObject({ fresh: 2, written: 2 })
})

test('a fallback that throws settles the call with the original error', async () => {
  const { dependency } = rig()
  const broken = (): never => {
    throw new Error('fallback')
  }
  const load = (fallback: Parameters<typeof dependency.wrap<[], string>>[1]) =>
    dependency.wrap((): Promise<string> => Promise.reject(down), fallback)
  await expect(load({ fallback: broken })()).rejects.toBe(down)
  await expect(load({ fallback: () => Promise.reject(new Error('later')) })()).rejects.toBe(down)
  const both = [broken, () => Promise.reject(new Error('later'))]
  await expect(load({ fallback: both })()).rejects.toBe(down)
  expect(await load({ fallback: [...both, { value: 'last resort' }] })()).toBe('last resort')
})

test('a fallback that never settles ends with the original error when its time is over', async () => {
  const { clock, dependency } = rig({ timeout: 100 })
  let signal: AbortSignal | undefined
  const call = watch(
    dependency.run((): Promise<string> => Promise.reject(down), {
      fallback: (context) => {
        signal = context.signal
        return gate<string>().promise
      },
    }),
  )
  await clock.advance(99)
  expect(call.state).toBe('pending')
  await clock.advance(1)
  expect(call.error).toBe(down)
  expect(signal?.aborted).toBe(true)
})

test('taking one listener away leaves the others, also while an event is being told', async () => {
  const registry = createRegistry({ clock: new ManualClock() })
  const heard: string[] = []
  const listen = (who: string) => registry.on('call', () => heard.push(who))
  const first = listen('first')
  const itself = registry.on('call', (_call: RegistryEvents['call']) => {
    heard.push('once')
    itself()
  })
  listen('last')
  const feed = registry.dependency('feed')
  await feed.run(() => 1)
  expect(heard.splice(0)).toEqual(['first', 'once', 'last'])
  await feed.run(() => 1)
  expect(heard.splice(0)).toEqual(['first', 'last'])
  first()
  first()
  await feed.run(() => 1)
  expect(heard).toEqual(['last'])
})

test('one function that listens twice is told twice, and once after one of the two was taken away', async () => {
  const registry = createRegistry({ clock: new ManualClock() })
  let told = 0
  const listener = (): number => ++told
  registry.on('call', listener)
  const off = registry.on('call', listener)
  const feed = registry.dependency('feed')
  await feed.run(() => 1)
  expect(told).toBe(2)
  off()
  await feed.run(() => 1)
  expect(told).toBe(3)
})

test('cache keys are removed: the least recently used goes first, and the rest is still served', async () => {
  const { dependency } = rig({ stale: { max: 2 } })
  let fails = false
  const load = dependency.wrap((_, id: string) => (fails ? Promise.reject(down) : Promise.resolve(id)), {
    key: (id) => id,
    scope: 'public',
  })
  for (let i = 0; i < 1_000; i++) await load(`key ${i}`)
  fails = true
  const served = await Promise.allSettled(['key 0', 'key 997', 'key 998', 'key 999'].map((id) => load(id)))
  expect(served.map((result) => (result.status === 'fulfilled' ? result.value : result.reason === down))).toEqual([
    true,
    true,
    'key 998',
    'key 999',
  ])
})

test('cache keys that are deleted or cleared are not served again, also not by a call in flight', async () => {
  const { dependency } = rig()
  let work = gate<string>()
  const load = dependency.wrap((_, _id: string) => work.promise, { key: (id) => id, scope: 'public' })
  for (const remove of [() => load.cache.delete('a'), () => load.cache.clear()]) {
    work = gate()
    const kept = watch(load('a'))
    work.open('kept')
    await settle()
    work = gate()
    const inFlight = watch(load('a'))
    remove()
    work.open('late')
    await settle()
    expect([kept.value, inFlight.value]).toEqual(['kept', 'late'])
    work = gate()
    work.fail(down)
    await expect(load('a')).rejects.toBe(down)
  }
})
