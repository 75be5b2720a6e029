import { describe, expect, it } from 'vitest'
import {
  createRegistry,
  invariant,
  notify,
  type Message,
  type NotifyOptions,
  type Registry,
  type RegistryEvents,
} from '../../src/index.js'
import { ManualClock, settle } from '../../src/testing.js'

const MINUTE = 60_000
const down = new Error('down')

function rig(options: NotifyOptions = {}, deliver: (message: Message) => unknown = () => undefined) {
  const clock = new ManualClock()
  const registry = createRegistry({ clock, defaults: { circuit: { openFor: 5_000, rampFor: 0 } } })
  const sent: Message[] = []
  notify(
    registry,
    (message) => {
      sent.push(message)
      return deliver(message)
    },
    { warnings: false, ...options },
  )
  const fail = async (name: string): Promise<void> => {
    const run = (): Promise<unknown> => registry.get(name)!.run(() => Promise.reject(down))
    for (let i = 0; i < 10; i++) await run().catch(() => undefined)
    await settle()
  }
  const recover = async (name: string): Promise<void> => {
    await clock.advance(5_000)
    await registry.get(name)!.run(() => 'well')
    await settle()
  }
  return { clock, registry, sent, fail, recover, texts: () => sent.map(({ text }) => text) }
}

/** One database, three that need it, and one that needs one of these. */
function family(registry: Registry): void {
  registry.dependency('db')
  for (const name of ['read', 'write', 'search']) registry.dependency(name, { dependsOn: ['db'] })
  registry.dependency('suggestions', { dependsOn: ['search'] })
}

describe('an outage that takes others along', () => {
  it('is one message, which says how many, and one at its end', async () => {
    const { clock, registry, sent, fail, recover, texts } = rig()
    family(registry)
    registry.dependency('feed')
    await fail('db')
    expect(texts()).toEqual([
      'db is unavailable: 10 calls failed in a row; 4 that depend on it are unavailable with it',
    ])
    expect(sent[0]).toMatchObject({ kind: 'unavailable', dependency: 'db', dependents: 4 })
    expect(Object.isFrozen(sent[0])).toBe(true)
    await recover('db')
    await clock.advance(60 * MINUTE)
    expect(sent.map(({ kind, dependency }) => [kind, dependency])).toEqual([
      ['unavailable', 'db'],
      ['available', 'db'],
    ])
  })

  it('of one says so, and without any says nothing of them', async () => {
    const { registry, fail, texts } = rig()
    registry.dependency('db')
    registry.dependency('read', { dependsOn: ['db'] })
    await fail('read')
    await fail('db')
    expect(texts()).toEqual([
      'read is unavailable: 10 calls failed in a row',
      'db is unavailable: 10 calls failed in a row',
    ])
    const other = rig()
    other.registry.dependency('db')
    other.registry.dependency('read', { dependsOn: ['db'] })
    await other.fail('db')
    expect(other.texts()[0]).toMatch(/; 1 that depends on it is unavailable with it$/)
  })

  it('made by an operator tells nobody of those either', async () => {
    const { clock, registry, sent } = rig()
    family(registry)
    registry.setMode('db', 'unavailable', { reason: 'upgrade', for: 30 * MINUTE })
    await clock.advance(60 * MINUTE)
    expect(registry.get('suggestions')!.mode).toBe('available')
    expect(sent).toEqual([])
  })

  it('made by an operator is one message with `operators: true`', async () => {
    const { clock, registry, texts } = rig({ operators: true })
    family(registry)
    registry.setMode('db', 'unavailable', { reason: 'upgrade', for: 30 * MINUTE })
    await clock.advance(60 * MINUTE)
    expect(texts()).toEqual([
      'db is unavailable: upgrade; 4 that depend on it are unavailable with it',
      expect.stringMatching(/^db is available again/),
    ])
  })

  it('says how many by name when messages go together', async () => {
    const { clock, registry, fail, texts } = rig({ perMinute: 2 })
    family(registry)
    for (const name of ['a', 'b']) registry.dependency(name)
    for (const name of ['a', 'b', 'db']) await fail(name)
    await clock.advance(10_000)
    expect(texts().at(-1)).toBe('2 messages in one. unavailable: b, db (with 4 more)')
  })

  it('says how many there are by then when its message failed and is sent again', async () => {
    let tries = 0
    const { clock, registry, fail, texts } = rig({}, () => {
      if (++tries === 1) throw new Error('the pager is down')
    })
    family(registry)
    await fail('db')
    registry.dependency('late', { dependsOn: ['db'] })
    await clock.advance(5 * MINUTE)
    expect(texts()).toEqual([expect.stringContaining('; 4 that depend'), expect.stringContaining('; 5 that depend')])
  })
})

describe('one that is unavailable because of another', () => {
  it('and stays so after its return, is told by itself once that is stable, and so is its end', async () => {
    const { clock, registry, sent, fail, recover, texts } = rig()
    registry.dependency('db')
    let sane = true
    const check = invariant('sane', () => sane, { every: 1_000 })
    registry.dependency('write', { dependsOn: ['db'], invariants: [check] })
    await fail('db')
    sane = false
    await recover('db')
    await clock.advance(2 * MINUTE - 1)
    expect(sent).toHaveLength(1)
    await clock.advance(1)
    expect(texts().slice(1)).toEqual([
      expect.stringMatching(/^db is available again/),
      'write has been unavailable for 2 min: db is unavailable, which has returned since',
    ])
    sane = true
    await registry.acknowledge('write')
    await clock.advance(10 * MINUTE)
    expect(texts().slice(3)).toEqual([expect.stringMatching(/^write is available again/)])
  })

  it('and returns a little later, tells nothing', async () => {
    const { clock, registry, sent, fail, recover } = rig()
    registry.dependency('db')
    let broken = false
    const check = invariant('sane', () => (broken ? Promise.reject(down) : true), { every: 1_000 })
    const write = registry.dependency('write', { dependsOn: ['db'], invariants: [check] })
    await fail('db')
    broken = true
    await recover('db')
    expect(write.mode).toBe('unavailable')
    broken = false
    await recover('write')
    expect(write.mode).toBe('available')
    await clock.advance(60 * MINUTE)
    expect(sent.map(({ dependency }) => dependency)).toEqual(['db', 'db'])
  })

  it('waits for the last of those that it depends on', async () => {
    const { clock, registry, sent, fail, recover } = rig()
    for (const name of ['a', 'b']) registry.dependency(name)
    registry.dependency('child', { dependsOn: ['a', 'b'] })
    await fail('a')
    await fail('b')
    await recover('a')
    await clock.advance(30 * MINUTE)
    expect(sent.map(({ kind, dependency }) => [kind, dependency])).toEqual([
      ['unavailable', 'a'],
      ['unavailable', 'b'],
      ['available', 'a'],
    ])
    await recover('b')
    await clock.advance(30 * MINUTE)
    expect(sent.at(-1)).toMatchObject({ kind: 'available', dependency: 'b' })
    expect(sent).toHaveLength(4)
  })

  it('is told by itself when it becomes unavailable by itself later', async () => {
    const { clock, registry, sent, fail, recover } = rig()
    registry.dependency('db')
    registry.dependency('read', { dependsOn: ['db'] })
    await fail('db')
    await recover('db')
    await clock.advance(30 * MINUTE)
    await fail('read')
    expect(sent.at(-1)).toMatchObject({ kind: 'unavailable', dependency: 'read', cause: { kind: 'traffic' } })
  })
})

describe('one whose end could not be told before it went down with another', () => {
  it('is told again once it is available, be it by an operator’s word alone', async () => {
    let refused = false
    const { clock, registry, sent, fail, recover } = rig({ atMostEvery: 0 }, async ({ kind, dependency }) => {
      if (kind !== 'available' || dependency !== 'read' || refused) return
      refused = true
      await fail('db')
      throw new Error('the pager is down')
    })
    registry.dependency('db')
    registry.dependency('read', { dependsOn: ['db'] })
    await fail('read')
    await recover('read')
    await clock.advance(2 * MINUTE)
    expect([refused, registry.get('read')!.mode]).toEqual([true, 'unavailable'])
    await clock.advance(10 * MINUTE)
    expect(sent.filter(({ dependency }) => dependency === 'read')).toHaveLength(2)
    registry.setMode('read', 'available', { reason: 'it can do without' })
    await clock.advance(2 * MINUTE)
    expect(sent.at(-1)).toMatchObject({ kind: 'available', dependency: 'read', flips: 2 })
  })
})

describe('a fault that is rehearsed', () => {
  it('is named by the message of the outage it makes, at its beginning and end', async () => {
    const { clock, registry, sent, recover, texts } = rig()
    const feed = registry.dependency('feed')
    const fault = feed.inject({ error: down, for: 10_000 })
    for (let i = 0; i < 10; i++) await feed.run(() => 'well').catch(() => undefined)
    await settle()
    fault.stop()
    await recover('feed')
    await clock.advance(10 * MINUTE)
    expect(texts()).toEqual([
      'feed is unavailable: 10 calls failed in a row (a fault was injected)',
      expect.stringMatching(/^feed is available again, .*: 10 calls failed in a row \(a fault was injected\)$/),
    ])
    expect(sent.map(({ injected }) => injected)).toEqual([true, true])
  })

  it('is named where several messages go together, and not for a real outage', async () => {
    const { clock, registry, fail, texts } = rig({ perMinute: 2 })
    for (const name of ['a', 'b', 'c']) registry.dependency(name)
    registry.inject('c', { error: down, for: 10_000 })
    for (const name of ['a', 'b', 'c']) await fail(name)
    await clock.advance(10_000)
    expect(texts()).toEqual([
      'a is unavailable: 10 calls failed in a row',
      '2 messages in one. unavailable: b, c (a fault was injected)',
    ])
  })

  it('marks the flips and the history of all that go down with it, and no later ones', async () => {
    const { registry, fail, recover } = rig()
    family(registry)
    const flips: RegistryEvents['flip'][] = []
    registry.on('flip', (flip) => flips.push(flip))
    const fault = registry.inject('db', { error: down, for: 10_000 })
    await fail('db')
    fault.stop()
    const of = (mode: string) => flips.filter((flip) => flip.mode === mode).map((flip) => flip.injected)
    expect(of('unavailable')).toEqual([true, true, true, true, true])
    expect(flips.find(({ dependency }) => dependency === 'suggestions')!.parents).toEqual(['search'])
    expect(registry.history('suggestions')).toMatchObject([{ kind: 'flip', injected: true }])
    await recover('db')
    expect(of('available')).toEqual([undefined, undefined, undefined, undefined, undefined])
    flips.length = 0
    await fail('db')
    expect(of('unavailable')).toEqual([undefined, undefined, undefined, undefined, undefined])
  })
})
