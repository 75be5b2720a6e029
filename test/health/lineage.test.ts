import { describe, expect, it } from 'vitest'
import { createRegistry } from '../../src/index.js'
import { Lineage } from '../../src/health/lineage.js'
import { ManualClock } from '../../src/testing.js'

describe('who depends on whom', () => {
  it('is no cycle, and the message says which way it would go round', () => {
    const registry = createRegistry({ clock: new ManualClock() })
    registry.dependency('write', { dependsOn: ['db'] })
    registry.dependency('db', { dependsOn: ['disk'] })
    expect(() => registry.dependency('disk', { dependsOn: ['write'] })).toThrow('disk → write → db → disk')
    expect(() => registry.dependency('self', { dependsOn: ['self'] })).toThrow('self → self')
    expect(registry.get('disk')).toBeUndefined()
    registry.dependency('disk')
    expect(() => {
      registry.configure('disk', { dependsOn: ['write'] })
    }).toThrow('is a cycle')
    registry.setMode('write', 'unavailable', { reason: 'upgrade' })
    expect(registry.snapshot()['disk']!.mode).toBe('available')
  })

  it('is found at once where many ways lead up', () => {
    const lineage = new Lineage()
    for (let i = 1; i < 60; i++)
      for (const side of ['a', 'b']) lineage.declare(`${side}${i}`, [`a${i - 1}`, `b${i - 1}`])
    lineage.declare('a0', ['top'])
    expect(() => {
      lineage.declare('top', ['b59'])
    }).toThrow('is a cycle')
    lineage.declare('other', ['a59'])
    expect(lineage.childrenOf('a59')).toEqual(['other'])
  })

  it('may be said before a parent exists, and reaches over generations', () => {
    const registry = createRegistry({ clock: new ManualClock() })
    const flips: string[] = []
    registry.on('flip', ({ dependency, mode, cause }) => flips.push(`${dependency} ${mode}: ${cause.reason}`))
    registry.dependency('write', { dependsOn: ['db'] })
    expect(registry.snapshot()['write']!.available).toBe(true)
    registry.dependency('disk')
    registry.setMode('disk', 'unavailable', { reason: 'full' })
    registry.dependency('db', { dependsOn: ['disk'] })
    expect(registry.snapshot()['write']).toMatchObject({ mode: 'unavailable', reason: 'db is unavailable' })
    registry.clearMode('disk')
    expect(flips).toEqual([
      'disk unavailable: full',
      'db unavailable: disk is unavailable',
      'write unavailable: db is unavailable',
      'disk available: cleared',
      'db available: what it depends on is available again',
      'write available: what it depends on is available again',
    ])
  })

  it('comes back with the last of those that it depends on, and says which is missing until then', () => {
    const registry = createRegistry({ clock: new ManualClock() })
    for (const name of ['db', 'log']) registry.dependency(name)
    const write = registry.dependency('write', { dependsOn: ['db', 'log'] })
    for (const name of ['db', 'log']) registry.setMode(name, 'unavailable', { reason: 'upgrade' })
    registry.clearMode('db')
    expect(write.health()).toMatchObject({ mode: 'unavailable', reason: 'log is unavailable' })
    registry.clearMode('log')
    expect(write.mode).toBe('available')
    expect(registry.history('write')).toHaveLength(2)
  })

  it('changes with the configuration, at once', () => {
    const registry = createRegistry({ clock: new ManualClock() })
    registry.dependency('db')
    const write = registry.dependency('write')
    registry.setMode('db', 'unavailable', { reason: 'upgrade' })
    expect(write.mode).toBe('available')
    registry.configure('write', { dependsOn: ['db'] })
    expect(write.mode).toBe('unavailable')
    registry.configure('write', { dependsOn: [] })
    expect(write.mode).toBe('available')
  })
})
