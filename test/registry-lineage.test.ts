import { describe, expect, it } from 'vitest'
import { createRegistry, invariant, type DependencyOptions, type Registry } from '../src/index.js'
import { ManualClock, settle } from '../src/testing.js'
import { watch } from './support/calls.js'

function family(defaults: DependencyOptions = {}) {
  const clock = new ManualClock()
  const registry = createRegistry({ clock, defaults: { circuit: { openFor: 5_000, rampFor: 0 }, ...defaults } })
  const fail = async (name: string): Promise<void> => {
    for (let i = 0; i < 10; i++)
      await registry
        .get(name)!
        .run(() => Promise.reject(new Error('down')))
        .catch(() => undefined)
  }
  return { clock, registry, fail }
}

const force = (registry: Registry, name: string): void => {
  registry.setMode(name, 'unavailable', { reason: 'upgrade', for: Infinity })
}
const modes = (registry: Registry, ...names: string[]) => names.map((name) => registry.get(name)!.mode)

describe('a dependency that depends on another', () => {
  it('is unavailable while that is, with that as the cause, and refuses without calling', async () => {
    const { clock, registry, fail } = family()
    const flips: unknown[] = []
    registry.dependency('orders-db')
    const write = registry.dependency('orders-write', { dependsOn: ['orders-db'] })
    registry.on('flip', ({ dependency, mode, cause }) => flips.push([dependency, mode, cause.kind, cause.reason]))
    await fail('orders-db')
    expect(registry.snapshot()['orders-write']).toMatchObject({
      mode: 'unavailable',
      available: false,
      circuit: 'closed',
      reason: 'orders-db is unavailable',
    })
    let called = false
    await expect(write.run(() => (called = true))).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    expect(called).toBe(false)
    // Half-open, the parent is worth calling; the child isn't before it has recovered.
    await clock.advance(5_000)
    expect(registry.snapshot()).toMatchObject({
      'orders-db': { available: true },
      'orders-write': { available: false },
    })
    await registry.get('orders-db')!.run(() => 'well')
    expect(modes(registry, 'orders-db', 'orders-write')).toEqual(['available', 'available'])
    expect(flips).toEqual([
      ['orders-db', 'unavailable', 'traffic', '10 calls failed in a row'],
      ['orders-write', 'unavailable', 'parent', 'orders-db is unavailable'],
      ['orders-db', 'available', 'traffic', 'the trial passed'],
      ['orders-write', 'available', 'parent', 'what it depends on is available again'],
    ])
  })

  it('does not take the other down by failures of its own calls', async () => {
    const { registry, fail } = family()
    registry.dependency('db')
    registry.dependency('write', { dependsOn: ['db'] })
    await fail('write')
    expect(modes(registry, 'db', 'write')).toEqual(['available', 'unavailable'])
  })

  it('flips once for several parents, and returns with the last of them', () => {
    const { registry } = family()
    let flips = 0
    for (const name of ['a', 'b']) registry.dependency(name)
    registry.dependency('child', { dependsOn: ['a', 'b', 'a'] })
    registry.on('flip', ({ dependency }) => (flips += dependency === 'child' ? 1 : 0))
    force(registry, 'a')
    force(registry, 'b')
    expect(registry.snapshot().child!.reason).toBe('a is unavailable')
    registry.clearMode('a')
    expect(registry.snapshot().child).toMatchObject({ mode: 'unavailable', reason: 'b is unavailable' })
    registry.clearMode('b')
    expect([modes(registry, 'child'), flips]).toEqual([['available'], 2])
  })

  it('follows through generations, in the order of descent', () => {
    const { registry } = family()
    const flips: string[] = []
    registry.dependency('root')
    registry.dependency('child', { dependsOn: ['root'] })
    registry.dependency('grandchild', { dependsOn: ['child'] })
    registry.on('flip', ({ dependency, mode }) => flips.push(`${dependency} ${mode}`))
    force(registry, 'root')
    expect(modes(registry, 'child', 'grandchild')).toEqual(['unavailable', 'unavailable'])
    registry.clearMode('root')
    expect(modes(registry, 'child', 'grandchild')).toEqual(['available', 'available'])
    expect(flips).toEqual([
      'root unavailable',
      'child unavailable',
      'grandchild unavailable',
      'root available',
      'child available',
      'grandchild available',
    ])
  })

  it('may be forced available all the same, and then its own children are', () => {
    const { registry } = family()
    registry.dependency('root')
    registry.dependency('child', { dependsOn: ['root'] })
    registry.dependency('grandchild', { dependsOn: ['child'] })
    force(registry, 'root')
    registry.setMode('child', 'available', { reason: 'it has a replica' })
    expect(modes(registry, 'root', 'child', 'grandchild')).toEqual(['unavailable', 'available', 'available'])
    registry.clearMode('child')
    expect(modes(registry, 'child', 'grandchild')).toEqual(['unavailable', 'unavailable'])
  })

  it('ramps after the recovery of its parent', async () => {
    const { clock, registry } = family({ circuit: { rampFor: 10_000 }, bulkhead: { slots: 10, maxWait: 60_000 } })
    registry.dependency('db')
    const write = registry.dependency('write', { dependsOn: ['db'] })
    force(registry, 'db')
    await clock.advance(1_000)
    registry.clearMode('db')
    expect(write.health()).toMatchObject({ mode: 'available', ramp: 0 })
    let begun = 0
    const hang = (): Promise<void> => {
      begun++
      return new Promise(() => undefined)
    }
    for (let i = 0; i < 10; i++) watch(write.run(hang))
    await settle()
    expect(begun).toBe(1)
    await clock.advance(5_000)
    expect(begun).toBe(5)
  })

  it('has its invariants read before it returns with its parent', async () => {
    const { registry } = family()
    registry.dependency('db')
    let holds = true
    const check = invariant('primary', () => holds, { every: 600_000 })
    const write = registry.dependency('write', { dependsOn: ['db'], invariants: [check] })
    force(registry, 'db')
    holds = false
    registry.clearMode('db')
    expect(write.mode).toBe('unavailable')
    await settle()
    expect(write.health()).toMatchObject({ mode: 'unavailable', reason: 'primary: the check said no' })
  })

  it('is only told of it where rules are only watched', () => {
    const { registry } = family()
    registry.dependency('db')
    registry.dependency('write', { dependsOn: ['db'], enforce: false })
    force(registry, 'db')
    expect(registry.get('write')!.health()).toMatchObject({ mode: 'available', wouldBe: 'unavailable' })
  })
})

describe('a dependency that is spoken of before it is registered', () => {
  it('keeps nobody away until it exists, and does from its first flip on', () => {
    const { registry } = family()
    registry.dependency('write', { dependsOn: ['db'] })
    expect(modes(registry, 'write')).toEqual(['available'])
    registry.dependency('db')
    expect(modes(registry, 'write')).toEqual(['available'])
    force(registry, 'db')
    expect(modes(registry, 'write')).toEqual(['unavailable'])
  })

  it('is unavailable from the start, with all who wait for it, when its own parent is', () => {
    const { registry } = family()
    registry.dependency('root')
    force(registry, 'root')
    registry.dependency('grandchild', { dependsOn: ['child'] })
    registry.dependency('child', { dependsOn: ['root'] })
    expect(modes(registry, 'child', 'grandchild')).toEqual(['unavailable', 'unavailable'])
    registry.clearMode('root')
    expect(modes(registry, 'child', 'grandchild')).toEqual(['available', 'available'])
  })
})

describe('a name that is depended on and registered by nobody', () => {
  const warnings = (registry: Registry, name: string) =>
    registry
      .get(name)!
      .health()
      .warnings.map(({ warning, text }) => `${warning}: ${text}`)

  it('is a warning after 10 s, told once, which ends when the last such name is registered', async () => {
    const { clock, registry } = family()
    const told: unknown[] = []
    registry.on('warning', ({ dependency, warning, raised }) => told.push([dependency, warning, raised]))
    registry.dependency('write', { dependsOn: ['dbb', 'disk'] })
    await clock.advance(9_999)
    expect([warnings(registry, 'write'), told]).toEqual([[], []])
    await clock.advance(1)
    expect(warnings(registry, 'write')).toEqual(['parent: depends on what is not registered: "dbb", "disk"'])
    registry.dependency('disk')
    expect(warnings(registry, 'write')).toEqual(['parent: depends on what is not registered: "dbb"'])
    registry.dependency('dbb')
    expect(warnings(registry, 'write')).toEqual([])
    expect(told).toEqual([
      ['write', 'parent', true],
      ['write', 'parent', false],
    ])
  })

  it('alarms nobody when it is registered within 10 s, and leaves no timer', async () => {
    const { clock, registry } = family()
    const told: unknown[] = []
    registry.on('warning', (warning) => told.push(warning))
    registry.dependency('write', { dependsOn: ['db'] })
    registry.dependency('read', { dependsOn: ['db', 'disk'] })
    registry.dependency('db')
    expect(clock.pending()).toBe(1)
    registry.dependency('disk')
    expect(clock.pending()).toBe(0)
    await clock.advance(60_000)
    expect(told).toEqual([])
  })

  it('is a warning to whoever still waits, when others have found theirs', async () => {
    const { clock, registry } = family()
    registry.dependency('read', { dependsOn: ['db', 'disk'] })
    registry.dependency('write', { dependsOn: ['db'] })
    registry.dependency('db')
    await clock.advance(10_000)
    expect(warnings(registry, 'write')).toEqual([])
    expect(warnings(registry, 'read')).toEqual(['parent: depends on what is not registered: "disk"'])
  })

  it('that comes by a change at run time is one too, and ends by another', async () => {
    const { clock, registry } = family()
    registry.dependency('db')
    registry.dependency('write', { dependsOn: ['db'] })
    registry.configure('write', { dependsOn: ['bd'] })
    await clock.advance(10_000)
    expect(warnings(registry, 'write')).toEqual(['parent: depends on what is not registered: "bd"'])
    registry.configure('write', { dependsOn: ['db'] })
    expect(warnings(registry, 'write')).toEqual([])
    registry.configure('write', { dependsOn: ['bd'] })
    await clock.advance(9_999)
    expect(warnings(registry, 'write')).toEqual([])
  })

  it('is waited for by a timer that keeps no process alive, and ends with the registry', async () => {
    const { clock, registry } = family()
    registry.dependency('write', { dependsOn: ['dbb'] })
    expect([clock.pending(), clock.pending({ referenced: true })]).toEqual([1, 0])
    await registry.close()
    expect(clock.pending()).toBe(0)
  })
})

describe('a cycle', () => {
  it.each<[string, (registry: Registry) => void, string]>([
    ['of one', (registry) => registry.dependency('a', { dependsOn: ['a'] }), 'dependsOn: is a cycle: a → a'],
    [
      'of two',
      (registry) => {
        registry.dependency('b', { dependsOn: ['a'] })
        registry.dependency('a', { dependsOn: ['b'] })
      },
      'dependsOn: is a cycle: a → b → a',
    ],
    [
      'through one that does not exist yet',
      (registry) => {
        registry.dependency('b', { dependsOn: ['c'] })
        registry.dependency('c', { dependsOn: ['x', 'a'] })
        registry.dependency('a', { dependsOn: ['b'] })
      },
      'dependsOn: is a cycle: a → b → c → a',
    ],
  ])('%s is refused, named, and nothing is registered', (_, make, message) => {
    const { registry } = family()
    expect(() => {
      make(registry)
    }).toThrow(expect.objectContaining({ code: 'ERR_OPTION', path: 'dependsOn', message }) as Error)
    expect(registry.get('a')).toBeUndefined()
    expect(registry.snapshot().a!.known).toBe(false)
    // Nor is anything remembered of it.
    registry.dependency('a')
    force(registry, 'a')
    expect(registry.get('a')!.health().reason).toBe('upgrade')
  })

  it('is refused at run time too, and then nothing has changed', () => {
    const { registry } = family()
    registry.dependency('a')
    registry.dependency('b', { dependsOn: ['a'] })
    expect(() => {
      registry.configure('a', { dependsOn: ['b'], timeout: 77 })
    }).toThrow(expect.objectContaining({ path: 'dependsOn' }) as Error)
    expect(registry.get('a')!.settings).toMatchObject({ dependsOn: [], timeout: 3_000 })
    force(registry, 'b')
    expect(modes(registry, 'a')).toEqual(['available'])
  })
})

describe('another parent at run time', () => {
  it('counts from that moment on, and the former one no more', () => {
    const { registry } = family()
    for (const name of ['a', 'b']) registry.dependency(name)
    registry.dependency('child', { dependsOn: ['a'] })
    registry.dependency('grandchild', { dependsOn: ['child'] })
    force(registry, 'b')
    registry.configure('child', { dependsOn: ['b'] })
    expect(registry.snapshot().child).toMatchObject({ mode: 'unavailable', reason: 'b is unavailable' })
    expect(modes(registry, 'grandchild')).toEqual(['unavailable'])
    registry.configure('child', { dependsOn: [] })
    expect(modes(registry, 'child', 'grandchild')).toEqual(['available', 'available'])
    force(registry, 'a')
    expect(modes(registry, 'child')).toEqual(['available'])
  })

  it('may be one that was refused with other settings: then the former ones hold', () => {
    const { registry } = family()
    for (const name of ['a', 'b']) registry.dependency(name)
    registry.dependency('child', { dependsOn: ['a'], bulkhead: { slots: 2, classes: { pages: { guaranteed: 2 } } } })
    expect(() => {
      registry.configure('child', { dependsOn: ['b'], bulkhead: { slots: 1 } })
    }).toThrow(expect.objectContaining({ path: 'bulkhead.classes' }) as Error)
    force(registry, 'b')
    expect(modes(registry, 'child')).toEqual(['available'])
    force(registry, 'a')
    expect(modes(registry, 'child')).toEqual(['unavailable'])
  })
})
