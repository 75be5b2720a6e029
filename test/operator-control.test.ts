import { describe, expect, it } from 'vitest'
import { createRegistry, invariant, type Registry } from '../src/index.js'
import { ManualClock, settle } from '../src/testing.js'
import { watch } from './support/calls.js'
import { rig } from './support/rig.js'

const MINUTES = 60_000

/** A shop whose writes can be switched off together. */
function shop() {
  const clock = new ManualClock()
  const registry = createRegistry({ clock, defaults: { circuit: { rampFor: 0 } } })
  registry.dependency('orders-write', { tags: ['writes'] })
  registry.dependency('accounts-write', { tags: ['writes', 'accounts', 'writes'] })
  registry.dependency('orders-read', { tags: ['reads'] })
  const modes = (): Record<string, string> =>
    Object.fromEntries(
      registry
        .snapshot()
        .list()
        .map(({ name, mode }) => [name, mode]),
    )
  return { clock, registry, modes }
}

const acts = (registry: Registry) =>
  registry.history().map(({ dependency, kind, mode, cause }) => [dependency, kind, mode, cause.reason, cause.by])

const UP = { 'orders-write': 'available', 'accounts-write': 'available', 'orders-read': 'available' }

describe('a mode forced by a tag', () => {
  it('is one switch for all that have it, with a notice for users, until it expires', async () => {
    const { clock, registry, modes } = shop()
    registry.setMode({ tag: 'writes' }, 'unavailable', { reason: 'ids', notice: 'Read-only', by: 'ann', for: MINUTES })
    expect(modes()).toEqual({ ...UP, 'orders-write': 'unavailable', 'accounts-write': 'unavailable' })
    expect(registry.snapshot()['accounts-write']).toMatchObject({ reason: 'ids', notice: 'Read-only' })
    expect(registry.snapshot()['orders-read']).not.toHaveProperty('notice')
    expect(acts(registry)).toEqual([
      ['orders-write', 'setMode', 'unavailable', 'ids', 'ann'],
      ['orders-write', 'flip', 'unavailable', 'ids', 'ann'],
      ['accounts-write', 'setMode', 'unavailable', 'ids', 'ann'],
      ['accounts-write', 'flip', 'unavailable', 'ids', 'ann'],
    ])
    await clock.advance(MINUTES)
    expect(modes()).toEqual(UP)
    expect(acts(registry).slice(4)).toEqual([
      ['orders-write', 'clearMode', 'unavailable', 'expired', undefined],
      ['orders-write', 'flip', 'available', 'expired', undefined],
      ['accounts-write', 'clearMode', 'unavailable', 'expired', undefined],
      ['accounts-write', 'flip', 'available', 'expired', undefined],
    ])
  })

  it('is cleared by that tag, by another, or by name', () => {
    const { registry, modes } = shop()
    registry.setMode({ tag: 'writes' }, 'unavailable', { reason: 'ids' })
    registry.clearMode({ tag: 'accounts' })
    expect(modes()).toEqual({ ...UP, 'orders-write': 'unavailable' })
    registry.clearMode('orders-write', { by: 'bob' })
    expect(modes()).toEqual(UP)
    expect(acts(registry).at(-2)).toEqual(['orders-write', 'clearMode', 'unavailable', 'cleared', 'bob'])
  })

  it('that nothing has is refused: most likely it is misspelled', () => {
    const { registry, modes } = shop()
    for (const act of [
      () => registry.setMode({ tag: 'write' }, 'unavailable', { reason: 'ids' }),
      () => registry.clearMode({ tag: 'write' }),
    ])
      expect(act).toThrow(expect.objectContaining({ code: 'ERR_OPTION', path: 'tag' }) as Error)
    expect([modes(), registry.history()]).toEqual([UP, []])
  })

  it('passes over a dependency that was closed by itself', async () => {
    const { clock, registry, modes } = shop()
    await registry.get('orders-write')!.close()
    registry.setMode({ tag: 'writes' }, 'available', { reason: 'vouched for' })
    expect(modes()).toEqual({ ...UP, 'orders-write': 'unavailable' })
    expect(acts(registry).map(([name]) => name)).toEqual(['accounts-write'])
    expect(() => registry.setMode('orders-write', 'available', { reason: 'it too' })).toThrow(
      expect.objectContaining({ code: 'ERR_CLOSED', dependency: 'orders-write' }) as Error,
    )
    // The one override that is in force.
    expect(clock.pending()).toBe(1)
  })
})

describe('what an operator asks for wrongly', () => {
  const registry = createRegistry({ clock: new ManualClock() })
  registry.dependency('feed', { tags: ['all'] })
  const reason = 'why'
  const table: [string, string, () => unknown][] = [
    ['setMode.reason', 'no reason', () => registry.setMode('feed', 'unavailable', {} as never)],
    ['setMode.reason', 'an empty one', () => registry.setMode('feed', 'unavailable', { reason: '' })],
    ['setMode.for', 'no time at all', () => registry.setMode('feed', 'unavailable', { reason, for: 0 })],
    ['setMode.for', 'longer than a timer', () => registry.setMode('feed', 'unavailable', { reason, for: 2 ** 31 })],
    ['setMode.for', 'NaN', () => registry.setMode('feed', 'unavailable', { reason, for: Number.NaN })],
    ['setMode.until', 'an unknown name', () => registry.setMode('feed', 'unavailable', { reason, until: 1 } as never)],
    ['mode', 'another mode', () => registry.setMode('feed', 'down' as never, { reason })],
    ['name', 'an unknown dependency', () => registry.setMode('food', 'unavailable', { reason })],
    ['target', 'no target', () => registry.setMode(undefined as never, 'unavailable', { reason })],
    ['target.tag', 'a misspelled target', () => registry.clearMode({ tags: 'all' } as never)],
    ['target.name', 'a tag and a name', () => registry.clearMode({ tag: 'all', name: 'feed' } as never)],
    ['target.tag', 'an empty tag', () => registry.clearMode({ tag: '' })],
    ['name', 'an unknown one to clear', () => registry.clearMode('food')],
    ['clearMode.for', 'a time for clearing', () => registry.clearMode('feed', { for: 1 } as never)],
    ['name', 'an unknown one to disable', () => registry.disable('food')],
    ['disable.for', 'no time to be disabled', () => registry.disable('feed', { for: 0 })],
    ['disable.mode', 'a mode to be disabled in', () => registry.disable('feed', { mode: 1 } as never)],
    ['name', 'an unknown one to enable', () => registry.enable('food')],
    ['enable.by', 'nobody who enables', () => registry.enable('feed', { by: '' })],
    ['text', 'an empty note', () => registry.note('feed', '')],
    ['name', 'a note on an unknown one', () => registry.note('food', 'hm')],
    ['note.by', 'a note by nobody', () => registry.note('feed', 'hm', { by: 7 } as never)],
    ['acknowledge.accept', 'a doubtful acceptance', () => registry.acknowledge('feed', { accept: 'yes' } as never)],
    ['name', 'an unknown one to acknowledge', () => registry.acknowledge('food')],
    ['event', 'an event that there is not', () => registry.on('flips' as never, () => undefined)],
    ['event', 'what every object has', () => registry.on('toString' as never, () => undefined)],
    ['listener', 'no listener', () => registry.on('flip', 'page me' as never)],
    ['close.timeout', 'no time to close in', () => registry.get('feed')!.close({ timeout: 0 })],
    ['close.for', 'another name for it', () => registry.get('feed')!.close({ for: 5 } as never)],
    ['close.for', 'the same for all', () => registry.close({ for: 5 } as never)],
  ]
  it.each(table)('is refused, naming %s: %s', async (path, _, act) => {
    const doing = async (): Promise<void> => {
      await act()
    }
    await expect(doing()).rejects.toMatchObject({ code: 'ERR_OPTION', path })
    expect(registry.history()).toEqual([])
    expect(registry.get('feed')!.mode).toBe('available')
  })
})

describe('a dependency that is disabled', () => {
  it('lets calls straight through, under a standing warning, until its time is over', async () => {
    const { clock, registry, dependency, failing, call, begun } = rig({ circuit: { openFor: 600_000 } })
    const warnings: unknown[] = []
    registry.on('warning', ({ warning, raised, text }) => warnings.push([warning, raised, text]))
    await failing(10)
    registry.disable('feed', { reason: 'library in doubt', by: 'ann', for: MINUTES })
    expect(dependency.health()).toMatchObject({
      mode: 'available',
      wouldBe: 'unavailable',
      reason: 'library in doubt',
      warnings: [{ warning: 'disabled', text: 'disabled: library in doubt', since: clock.wall() }],
    })
    const through = watch(call())
    begun[0]!.open('ok')
    await clock.advance(MINUTES - 1)
    expect(through.value).toBe('ok')
    await clock.advance(1)
    expect(dependency.health()).toMatchObject({ mode: 'unavailable', warnings: [] })
    expect(warnings).toEqual([
      ['disabled', true, 'disabled: library in doubt'],
      ['disabled', false, 'disabled: library in doubt'],
    ])
    const kinds = acts(registry).map(([, kind, , why, by]) => [kind, why, by])
    expect(kinds.slice(1)).toEqual([
      ['disable', 'library in doubt', 'ann'],
      ['flip', 'library in doubt', 'ann'],
      ['enable', 'expired', undefined],
      ['flip', '10 calls failed in a row', undefined],
    ])
  })

  it('has no timeout, no bulkhead and no sample, but is still counted while it is in flight', async () => {
    const { clock, dependency, registry, call, begun } = rig({ bulkhead: { slots: 1, queue: 0 }, timeout: 100 })
    registry.disable('feed')
    const calls = [watch(call()), watch(call())]
    expect(dependency.health()).toMatchObject({ inFlight: 2, slots: { busy: 0 } })
    await clock.advance(1_000)
    expect(calls.map(({ state }) => state)).toEqual(['pending', 'pending'])
    begun[0]!.fail(new Error('down'))
    begun[1]!.open('ok')
    await settle()
    expect(calls.map(({ state }) => state)).toEqual(['rejected', 'resolved'])
    expect(dependency.health()).toMatchObject({ inFlight: 0, window: { calls: 0 } })
  })

  it('is so for 30 minutes unless told otherwise, without end only if told so, and not any more once enabled', async () => {
    const { clock, registry, dependency } = rig()
    registry.disable('feed')
    await clock.advance(30 * MINUTES - 1)
    expect(dependency.health().warnings).toHaveLength(1)
    await clock.advance(1)
    expect(dependency.health().warnings).toHaveLength(0)
    registry.disable('feed', { for: Infinity })
    await clock.advance(7 * 24 * 60 * MINUTES)
    expect(dependency.health().warnings).toHaveLength(1)
    registry.enable('feed', { by: 'bob' })
    expect([dependency.health().warnings, clock.pending()]).toEqual([[], 0])
    expect(acts(registry).at(-1)).toEqual(['feed', 'enable', 'available', 'enabled', 'bob'])
  })

  it('again is so for the new time, for the new reason, and warns once', async () => {
    const { clock, registry, dependency } = rig()
    const raised: boolean[] = []
    registry.on('warning', (warning) => raised.push(warning.raised))
    registry.disable('feed', { reason: 'first', for: MINUTES })
    const since = clock.wall()
    await clock.advance(1_000)
    registry.disable('feed', { reason: 'second', for: 5 * MINUTES })
    expect(dependency.health()).toMatchObject({
      reason: 'second',
      warnings: [{ text: 'disabled: second', since }],
    })
    await clock.advance(5 * MINUTES - 1)
    expect(raised).toEqual([true])
    await clock.advance(1)
    expect(raised).toEqual([true, false])
  })

  it('leaves no timer when it is closed', async () => {
    const { clock, registry } = rig()
    registry.disable('feed')
    registry.setMode('feed', 'available', { reason: 'vouched for' })
    await registry.close()
    expect(clock.pending()).toBe(0)
  })
})

describe('an acknowledgement', () => {
  it('is the last step of a recovery that is left to an operator', async () => {
    const { clock, registry, dependency, failing, succeed, call } = rig({
      circuit: { openFor: 1_000, rampFor: 0, recover: 'operator' },
    })
    await failing(10)
    expect(await registry.acknowledge('feed')).toEqual({ holds: true, broken: [] })
    expect(dependency.mode).toBe('unavailable')
    await clock.advance(1_000)
    await succeed()
    expect(dependency.health()).toMatchObject({ circuit: 'half-open', mode: 'unavailable', available: false })
    await expect(call()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    await registry.acknowledge('feed', { by: 'ann', note: 'looked at the logs' })
    expect(dependency.mode).toBe('available')
    expect(acts(registry).slice(-2)).toEqual([
      ['feed', 'acknowledge', 'unavailable', 'looked at the logs', 'ann'],
      ['feed', 'flip', 'available', 'acknowledged', 'ann'],
    ])
  })

  it('of what still does not hold says so, and opens nothing', async () => {
    const clock = new ManualClock()
    const registry = createRegistry({ clock, defaults: { circuit: { rampFor: 0 } } })
    let holds = false
    const dependency = registry.dependency('db', { invariants: [invariant('primary', () => holds, { every: 1_000 })] })
    await clock.advance(500)
    expect(dependency.mode).toBe('unavailable')
    const broken = [{ invariant: 'primary', reason: 'primary: the check said no' }]
    expect(await registry.acknowledge('db')).toEqual({ holds: false, broken })
    expect(dependency.mode).toBe('unavailable')
    holds = true
    await clock.advance(10_000)
    expect(dependency.mode).toBe('unavailable')
    expect(await registry.acknowledge('db')).toEqual({ holds: true, broken: [] })
    expect(dependency.mode).toBe('available')
  })
})

describe('a note', () => {
  it('goes into the history, with the mode of that moment, and changes nothing', () => {
    const { registry, modes } = shop()
    registry.note('orders-read', 'looks slow since noon', { by: 'ann' })
    expect(acts(registry)).toEqual([['orders-read', 'note', 'available', 'looks slow since noon', 'ann']])
    expect(modes()).toEqual(UP)
    expect(registry.history('orders-write')).toEqual([])
  })
})

describe('after the end of the registry', () => {
  it('nothing can be done any more: every act throws ClosedError, and leaves no timer', async () => {
    const { clock, registry } = shop()
    const dependency = registry.get('orders-read')!
    const closing = registry.close()
    const reason = 'why'
    const every: (() => unknown)[] = [
      () => registry.setMode('orders-read', 'available', { reason }),
      () => registry.setMode({ tag: 'writes' }, 'available', { reason }),
      () => registry.clearMode('orders-read'),
      () => registry.clearMode({ tag: 'writes' }),
      () => registry.acknowledge('orders-read'),
      () => registry.disable('orders-read'),
      () => registry.enable('orders-read'),
      () => registry.note('orders-read', 'hm'),
      () => registry.configure('orders-read', { timeout: 1 }),
      () => registry.dependency('another'),
      () => dependency.drain({ reason }),
      () => dependency.run(() => 'called'),
    ]
    for (const when of ['while it closes', 'afterwards']) {
      for (const act of every) {
        const doing = async (): Promise<void> => {
          await act()
        }
        await expect(doing(), when).rejects.toMatchObject({ code: 'ERR_CLOSED' })
      }
      await closing
    }
    expect([clock.pending(), registry.history()]).toEqual([0, []])
  })
})
