import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  createRegistry,
  rehearse,
  type AskRoute,
  type Rehearsal,
  type RehearsalReport,
  type RehearseOptions,
} from '../src/index.js'
import { ManualClock, settle } from '../src/testing.js'
import { watch } from './support/calls.js'

afterEach(() => {
  vi.unstubAllEnvs()
})

/** A page that needs its article, and comments that one route waits for and another does without. */
function shop(more: Partial<Rehearsal> & { timeout?: number } = {}) {
  const clock = new ManualClock()
  const apps: { closed: number; rehearsal: Rehearsal }[] = []
  const start = (): Rehearsal => {
    const { timeout = 5_000, ...given } = more
    const registry = createRegistry({ clock, defaults: { timeout, circuit: { rampFor: 0 } } })
    const article = registry
      .dependency('articles')
      .wrap(() => 'article', { name: 'article', key: () => 'one', scope: 'public', timeout: 50 })
    const comments = registry.dependency('comments', { bulkhead: { slots: 4, queue: 0 } })
    const load = comments.wrap(() => 'comments', { name: 'comments' })
    const instead = comments.wrap(() => 'comments', { name: 'instead', timeout: 20, fallback: { value: 'none' } })
    const app = { closed: 0 }
    const rehearsal: Rehearsal = {
      registry,
      routes: {
        '/guarded': async () => [await article(), await instead()],
        '/unguarded': async () => [await article(), await load()],
      },
      close: () => {
        app.closed++
      },
      ...given,
    }
    apps.push(Object.assign(app, { rehearsal }))
    return rehearsal
  }
  const run = async (options: RehearseOptions = {}): Promise<RehearsalReport> => {
    const report = watch(rehearse(start, options))
    for (let i = 0; report.state === 'pending' && i < 1_000; i++) await clock.advance(10)
    if (report.state === 'rejected') throw report.error
    return report.value!
  }
  return { clock, apps, start, run }
}

const RIGHT = { times: 3, within: 100 }

describe('a rehearsal', () => {
  it('tells which routes stop answering while each dependency hangs, fails and is slow in turn', async () => {
    const { run } = shop()
    const report = await run(RIGHT)
    expect(report.stopped).toEqual(['/unguarded'])
    expect(report.rows.map(({ dependency, fault, route, ok }) => [dependency, fault, route, ok])).toEqual([
      ['articles', 'hung', '/guarded', true],
      ['articles', 'hung', '/unguarded', true],
      ['articles', 'failing', '/guarded', true],
      ['articles', 'failing', '/unguarded', true],
      ['articles', 'slow', '/guarded', true],
      ['articles', 'slow', '/unguarded', true],
      ['comments', 'hung', '/guarded', true],
      ['comments', 'hung', '/unguarded', false],
      ['comments', 'failing', '/guarded', true],
      ['comments', 'failing', '/unguarded', false],
      ['comments', 'slow', '/guarded', true],
      ['comments', 'slow', '/unguarded', false],
    ])
    const hung = report.rows.find(({ fault, ok }) => fault === 'hung' && !ok)!
    expect(hung).toMatchObject({ asked: 3, answered: 0, took: 100, error: { name: 'TimeoutError' } })
  })

  it('is a table for people', async () => {
    const { run } = shop()
    const report = await run({ ...RIGHT, dependencies: ['comments'], faults: ['hung', 'failing'] })
    expect(String(report)).toBe(
      [
        'fault             route       answered  longest',
        'comments hung     /guarded    3 of 3    20 ms',
        'comments hung     /unguarded  0 of 3    100 ms   no answer within 100 ms',
        'comments failing  /guarded    3 of 3    0 ms',
        'comments failing  /unguarded  0 of 3    0 ms     a failure that is rehearsed',
        'stopped: /unguarded',
      ].join('\n'),
    )
    expect(String(await run({ ...RIGHT, dependencies: ['articles'], faults: ['failing'] }))).toContain('stopped: none')
  })

  it('has an app of its own for each fault, and closes every one', async () => {
    const { run, apps, clock } = shop()
    await run({ ...RIGHT, faults: ['failing'] })
    // The first one is only asked for its dependencies.
    expect(apps).toHaveLength(3)
    for (const { closed, rehearsal } of apps) {
      expect(closed).toBe(1)
      expect(() => rehearsal.registry.dependency('late')).toThrow('closed')
    }
    expect(clock.pending({ referenced: true })).toBe(0)
  })

  it('asks each route so often at once that what is shared is used up', async () => {
    let busy = 0
    const route: AskRoute = async () => {
      if (++busy > 4) throw new Error('full')
      await settle()
      busy--
    }
    const one = { dependencies: ['articles'], faults: ['hung'] as const }
    expect((await shop({ routes: { '/': route } }).run({ ...one, times: 4 })).stopped).toEqual([])
    const { rows } = await shop({ routes: { '/': route } }).run(one)
    expect(rows).toMatchObject([{ asked: 10, answered: 4, error: { message: 'full' } }])
  })

  it('tells a route that its time is over, and no other', async () => {
    const signals: AbortSignal[] = []
    const { run } = shop({
      routes: {
        '/': ({ signal }) => {
          signals.push(signal)
          return signals.length === 3 ? new Promise(() => undefined) : 'answer'
        },
      },
    })
    const report = await run({ within: 50, times: 2, dependencies: ['articles'], faults: ['hung'] })
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false, true, false])
    expect(report.rows).toMatchObject([{ ok: false, asked: 2, answered: 1 }])
    for (const signal of signals) expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })
})

describe('a rehearsal is an error', () => {
  it.each<[string, AskRoute]>([
    [
      'throws',
      () => {
        throw new Error('broken')
      },
    ],
    ['rejects', () => Promise.reject(new Error('broken'))],
    ['hangs', () => new Promise(() => undefined)],
  ])('when a route %s with nothing injected, and the app is closed', async (_case, route) => {
    const { run, apps, clock } = shop({ routes: { '/broken': route } })
    await expect(run({ within: 50 })).rejects.toThrow("/broken doesn't answer with nothing injected")
    expect(apps.map(({ closed }) => closed)).toEqual([1])
    expect(clock.pending()).toBe(0)
  })

  it('when the app fails to close, after its registry was closed', async () => {
    const close = (): never => {
      throw new Error('stuck')
    }
    const { run, apps } = shop({ close })
    await expect(run()).rejects.toThrow('stuck')
    expect(() => apps[0]!.rehearsal.registry.dependency('late')).toThrow('closed')
  })

  it.each<[string, object, string]>([
    ['an unknown dependency', { dependencies: ['fed'] }, 'rehearse.dependencies'],
    ['an unknown fault', { faults: ['wrong'] }, 'rehearse.faults.0'],
    ['no time', { within: 0 }, 'rehearse.within'],
    ['nobody who asks', { times: 0 }, 'rehearse.times'],
    ['an unknown name', { time: 1 }, 'rehearse.time'],
  ])('for %s', async (_case, options, path) => {
    await expect(shop().run(options)).rejects.toMatchObject({ code: 'ERR_OPTION', path })
  })

  it('when there is no app to rehearse', async () => {
    await expect(rehearse(() => ({ routes: {} }) as Rehearsal)).rejects.toMatchObject({ path: 'start.registry' })
    const registry = createRegistry()
    await expect(rehearse(() => ({ registry, routes: { '/': 1 } }) as never)).rejects.toMatchObject({
      code: 'ERR_OPTION',
    })
  })

  it('in production', async () => {
    vi.stubEnv('NODE_ENV', 'production')
    await expect(shop().run()).rejects.toMatchObject({ path: 'inject.allowProduction' })
  })
})

// The same schedules each time; another seed explores others.
const seed = Number(process.env['SEED'] ?? 20_260_101)
const behaviours = fc.constantFrom('answers', 'calls', 'throws under fault', 'hangs under fault', 'ignores the call')

it('whatever the routes do while something fails, every app is closed and nothing is left running', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(behaviours, { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 6 }),
      async (kinds, times) => {
        const clock = new ManualClock()
        const registries: ReturnType<typeof createRegistry>[] = []
        const start = (): Rehearsal => {
          const registry = createRegistry({ clock })
          registries.push(registry)
          const load = registry
            .dependency('feed', { timeout: 70, bulkhead: { slots: 3, queue: 2, maxWait: 30 } })
            .wrap(() => 1)
          const faulty = (): boolean => registry.get('feed')!.injected
          const routes = kinds.map((kind, index): [string, AskRoute] => [
            `/${index}`,
            () => {
              if (kind === 'calls') return load()
              if (kind === 'ignores the call') void load().catch(() => undefined)
              if (faulty() && kind === 'throws under fault') throw new Error('broken')
              if (faulty() && kind === 'hangs under fault') return new Promise(() => undefined)
              return 'answer'
            },
          ])
          return { registry, routes: Object.fromEntries(routes) }
        }
        const report = watch(rehearse(start, { times, within: 100 }))
        for (let i = 0; report.state === 'pending' && i < 200; i++) await clock.advance(20)
        const fragile = ['calls', 'throws under fault', 'hangs under fault']
        const expected = kinds.flatMap((kind, index) => (fragile.includes(kind) ? [`/${index}`] : []))
        expect(report.value?.stopped.toSorted()).toEqual(expected)
        await settle()
        for (const registry of registries)
          expect(registry.get('feed')!.health()).toMatchObject({ slots: { busy: 0 }, waiters: 0, inFlight: 0 })
        expect(clock.pending({ referenced: true })).toBe(0)
        await clock.advance(1_000)
        expect(clock.pending()).toBe(0)
      },
    ),
    { seed, numRuns: 60 },
  )
})
