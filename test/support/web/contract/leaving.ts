import { describe, expect, it } from 'vitest'
import type { CallContext, Dependency, OperationOptions, Registry } from '../../../../src/index.js'
import { gate, type Gate } from '../../gate.js'
import { ask, fetched, type Asking } from '../client.js'
import type { Driver } from '../driver.js'
import { until } from '../until.js'
import { held, world, type World } from '../world.js'

interface Leaving extends World {
  dependency: Dependency
  client: Asking
  /** What the operation was given, and what it waits for. */
  context: CallContext
  signal: AbortSignal
  work: Gate<string>
  /** How the handler's call ended for it. */
  ended: () => unknown
}

/** What becomes of a request's calls when its client goes. */
export function leavingContract(driver: Driver): void {
  /** A POST whose handler is in the middle of a guarded call. */
  const midway = async (options: OperationOptions<[], string> = {}): Promise<Leaving> => {
    const work = gate<string>()
    const contexts: CallContext[] = []
    let ended: unknown
    const prepare = (registry: Registry): void => {
      const load = registry.dependency('ledger').wrap(
        (context: CallContext) => {
          contexts.push(context)
          return work.promise
        },
        { name: 'load', ...options },
      )
      call = load
    }
    let call!: () => Promise<string>
    const made = await world(driver, {
      routes: [
        {
          path: '/',
          method: 'post',
          budget: 'pages',
          handle: async ({ reply }) => {
            ended = await call().catch((error: unknown) => error)
            reply({ ended: typeof ended })
          },
        },
        { path: '/other', budget: 'pages', handle: ({ reply }) => reply('ok') },
      ],
      prepare,
    })
    const client = ask(made.site, '/', { body: { order: 1 } })
    await until(() => contexts.length === 1, 'the call is under way')
    const context = contexts[0]!
    const dependency = made.registry.get('ledger')!
    return { ...made, client, dependency, context, signal: context.signal, work, ended: () => ended }
  }

  describe(`${driver.name}: a client that goes`, () => {
    it('is only then gone: until it is, the signal of a POST stays live', async () => {
      const { site, client, signal, work, ended, idle } = await midway()
      // The body has long been read to its end, and the loop turns.
      for (let i = 0; i < 5; i++) expect((await fetched(site, '/other')).text).toBe('ok')
      expect(signal.aborted).toBe(false)
      work.open('value')
      expect((await client.answer).status).toBe(200)
      expect(ended()).toBe('value')
      await idle()
      // It was answered, so it has not gone.
      expect(signal.aborted).toBe(false)
    })

    it('aborts the calls of its request, and that is no failure of what they called', async () => {
      const { client, dependency, signal, work, ended, idle } = await midway()
      client.leave()
      await until(() => signal.aborted, 'the call is aborted')
      expect(signal.reason).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' })
      await until(() => ended() !== undefined, 'the handler has learned')
      expect(ended()).toBe(signal.reason)
      const slot = dependency.health().slots.busy
      work.fail(signal.reason)
      await idle()
      const { window, counts, mode, slots } = dependency.health()
      expect(slot).toBe(1)
      expect(slots.busy).toBe(0)
      expect(window).toMatchObject({ calls: 0, failures: 0 })
      expect(counts).toMatchObject({ aborts: 1, failures: 0, timeouts: 0, cuts: 0 })
      expect(mode).toBe('available')
    })

    it('starts no more calls, and has no more fallbacks made for it', async () => {
      let later = 0
      const prepare = (registry: Registry): void => void registry.dependency('ledger')
      const work = held(async () => {
        const ledger = registry.get('ledger')!
        const fallback = [() => Promise.resolve(++later)]
        await ledger.run(() => Promise.resolve(++later), { fallback }).catch((error: unknown) => errors.push(error))
      })
      const errors: unknown[] = []
      const { site, registry, idle } = await world(driver, {
        routes: [{ path: '/', budget: 'pages', handle: work.handle }],
        prepare,
      })
      const client = ask(site, '/')
      await work.reach(1)
      client.leave()
      await until(() => work.begun[0]!.signal.aborted, 'the server knows')
      work.release()
      await until(() => work.running() === 0, 'the handler has settled')
      await idle()
      if (driver.follows) expect(errors).toEqual([work.begun[0]!.signal.reason])
      if (driver.follows) expect(later).toBe(0)
    })

    it('does not keep what its handler undoes from being done', async () => {
      const errors: unknown[] = []
      const undone: unknown[] = []
      const prepare = (registry: Registry): void => void registry.dependency('ledger')
      const work = held(async () => {
        const ledger = registry.get('ledger')!
        const undo = ledger.wrap(() => Promise.resolve('undone'), { name: 'undo', detached: true })
        await ledger.run(() => Promise.resolve()).catch((error: unknown) => errors.push(error))
        undone.push(await undo())
      })
      const { site, registry, idle } = await world(driver, {
        routes: [{ path: '/', budget: 'pages', handle: work.handle }],
        prepare,
      })
      const client = ask(site, '/')
      await work.reach(1)
      client.leave()
      await until(() => work.begun[0]!.signal.aborted, 'the server knows')
      work.release()
      await until(() => work.running() === 0, 'the handler has settled')
      await idle()
      // Where the guard doesn't follow the handler, the request is over with its connection.
      expect(errors).toEqual(driver.follows ? [work.begun[0]!.signal.reason] : [])
      expect(undone).toEqual(['undone'])
    })

    for (const options of [{ detached: true }, { idempotent: false }] as const)
      it(`does not stop work that is ${Object.keys(options)[0] === 'detached' ? 'detached' : 'not idempotent'}`, async () => {
        const { client, dependency, signal, work, ended, idle } = await midway(options)
        client.leave()
        await until(() => ended() !== undefined, 'the handler has learned')
        expect(ended()).toMatchObject({ name: 'AbortError' })
        await idle()
        expect(signal.aborted).toBe(false)
        expect(dependency.inFlight()).toHaveLength(1)
        work.open('written')
        await until(() => dependency.inFlight().length === 0, 'the work has ended')
        expect(dependency.health().counts).toMatchObject({ successes: 1, failures: 0 })
        expect(signal.aborted).toBe(false)
      })
  })
}
