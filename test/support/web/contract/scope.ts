import { describe, expect, it } from 'vitest'
import { Scope } from '../../../../src/adapter.js'
import type { CallContext, Registry, Wrapped } from '../../../../src/index.js'
import { gate } from '../../gate.js'
import { ask, fetched } from '../client.js'
import type { Driver, Exchange, Route } from '../driver.js'
import { held, world, type World } from '../world.js'

const ledger = (registry: Registry): void => {
  registry.dependency('ledger')
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** What a guarded call and the code around it see of the request. */
interface Seen {
  id: unknown
  class: (string | undefined)[]
  remaining: number[]
}

/** What a handler, and the calls that it makes, learn of their own request. */
export function scopeContract(driver: Driver): void {
  const one = (handle: Route['handle'], options: Partial<Parameters<typeof world>[1]> = {}): Promise<World> =>
    world(driver, {
      routes: [{ path: '/', budget: 'pages', handle }],
      prepare: ledger,
      deadline: 1_000,
      trustDeadline: true,
      ...options,
    })

  describe(`${driver.name}: the scope of a request`, () => {
    it('is never seen by another, however many overlap, also after a body was parsed', async () => {
      const names = ['pages', 'stats', 'feeds']
      const seen: Seen[] = []
      const made = await world(driver, {
        routes: names.flatMap((budget) =>
          (['get', 'post'] as const).map((method) => ({
            path: `/${budget}`,
            method,
            budget,
            handle: (exchange: Exchange) => visit(exchange, made.registry, seen),
          })),
        ),
        prepare: ledger,
        trustDeadline: true,
        slots: 60,
        classes: Object.fromEntries(names.map((name) => [name, { queue: 60 }])),
      })
      const { site, idle } = made
      const visitors = Array.from({ length: 60 }, async (_, n) => {
        const id = String(100 + n)
        const headers = { 'x-envoy-expected-rq-timeout-ms': id, 'x-id': id }
        const answer = await fetched(site, `/${names[n % 3]!}`, n % 2 === 0 ? { headers } : { headers, body: { id } })
        expect(answer.status).toBe(200)
      })
      await Promise.all(visitors)
      expect(seen).toHaveLength(60)
      for (const { id, ...rest } of seen) {
        const own = names[(Number(id) - 100) % 3]
        expect(rest).toEqual({ class: Array(5).fill(own), remaining: Array(5).fill(Number(id)) })
      }
      await idle()
    })

    it('has the modes as they were when it came, the same from its start to its end', async () => {
      const work = held(({ health, reply }) => {
        reply({ available: health.ledger!.available, same: health === first.health })
      })
      const first: { health?: unknown } = {}
      const { site, registry, idle } = await one(work.handle)
      const client = ask(site, '/')
      await work.reach(1)
      const { health } = work.begun[0]!.exchange
      first.health = health
      registry.setMode('ledger', 'unavailable', { reason: 'moved' })
      registry.dependency('newcomer')
      expect(registry.snapshot().ledger!.available).toBe(false)
      expect(health.ledger!.available).toBe(true)
      expect(health.list().map(({ name }) => name)).toEqual(['ledger'])
      expect(Reflect.set(health, 'ledger', undefined)).toBe(false)
      expect(Reflect.set(health.ledger!, 'available', false)).toBe(false)
      expect(Reflect.deleteProperty(health, 'ledger')).toBe(false)
      registry.setMode('ledger', 'available', { reason: 'back' })
      registry.setMode('ledger', 'unavailable', { reason: 'again' })
      work.release()
      expect(JSON.parse((await client.answer).text)).toEqual({ available: true, same: true })
      expect(JSON.parse((await fetched(site, '/')).text)).toEqual({ available: false, same: false })
      await idle()
    })

    it('cuts what remains for a call to what is left for the request', async () => {
      const work = held(async ({ reply }) => {
        reply({ remaining: await registry.get('ledger')!.run(({ remaining }: CallContext) => remaining) })
      })
      const { site, clock, registry, idle } = await one(work.handle)
      const client = ask(site, '/')
      await work.reach(1)
      await clock.advance(300)
      work.release()
      expect(JSON.parse((await client.answer).text)).toEqual({ remaining: 700 })
      await idle()
    })

    if (driver.catches)
      it('starts no call when too little time is left', async () => {
        let ran = false
        const errors: unknown[] = []
        const work = held(async () => {
          const call = registry.get('ledger')!.run(() => (ran = true))
          await call.catch((error: unknown) => errors.push(error))
          await call
        })
        const { site, clock, registry, idle } = await one(work.handle, { floor: 20 })
        const client = ask(site, '/')
        await work.reach(1)
        await clock.advance(980)
        work.release()
        expect((await client.answer).status).toBe(504)
        expect(ran).toBe(false)
        expect(errors).toMatchObject([{ code: 'ERR_DEADLINE', name: 'DeadlineError', dependency: 'ledger' }])
        expect(registry.get('ledger')!.health().counts.fires).toBe(0)
        await idle()
      })

    for (const [trusted, name, value, remaining] of [
      [true, 'x-envoy-expected-rq-timeout-ms', '120', 120],
      [true, 'x-envoy-expected-rq-timeout-ms', '60000', 1_000],
      [true, 'x-envoy-expected-rq-timeout-ms', '-5', 1_000],
      [true, 'x-envoy-expected-rq-timeout-ms', 'soon', 1_000],
      [true, 'x-envoy-expected-rq-timeout-ms', '0', 1],
      [true, 'grpc-timeout', '120m', 120],
      [true, 'grpc-timeout', '1H', 1_000],
      [false, 'x-envoy-expected-rq-timeout-ms', '120', 1_000],
      [false, 'grpc-timeout', '120m', 1_000],
    ] as const)
      it(`has ${remaining} of its 1000 ms when a caller that is ${trusted ? '' : 'not '}trusted says ${name}: ${value}`, async () => {
        const { site, idle } = await one(({ reply }) => reply({ remaining: Scope.current()!.remaining }), {
          trustDeadline: trusted,
        })
        const { text } = await fetched(site, '/', { headers: { [name]: value } })
        expect(JSON.parse(text)).toEqual({ remaining })
        await idle()
      })
  })
}

/** Interleaves with the others at each step, and looks again after each. */
async function visit({ headers, body, reply }: Exchange, registry: Registry, seen: Seen[]): Promise<void> {
  const id = (body as { id?: string } | undefined)?.id ?? headers['x-id']
  const own: Seen = { id, class: [], remaining: [] }
  seen.push(own)
  const note = (): void => {
    own.class.push(Scope.current()?.class)
    own.remaining.push(Scope.current()?.remaining ?? NaN)
  }
  note()
  await turn()
  note()
  const load: Wrapped<[], void> = registry.get('ledger')!.wrap(async ({ remaining }) => {
    note()
    const label = String(id)
    const work = registry
      .get('ledger')!
      .inFlight()
      .find((one) => one.label === label)
    own.class.push(work?.class)
    await turn()
    own.remaining.push(remaining)
    const timer = gate()
    setTimeout(timer.open, Number(id) % 7)
    await timer.promise
    note()
  })
  await load.with({ label: String(id) })()
  reply('ok')
}
