import { describe, expect, it, onTestFinished } from 'vitest'
import {
  createBudgets,
  createRegistry,
  invariant,
  type AuditEntry,
  type Budgets,
  type OperatorOptions,
  type Registry,
  type RegistryEvents,
} from '../../../../src/index.js'
import { ManualClock } from '../../../../src/testing.js'
import { gate, type Gate } from '../../gate.js'
import { ask, fetched, head, wire, type Answer, type AskOptions } from '../client.js'
import type { Site } from '../driver.js'
import type { Station, StationOptions } from '../operators.js'
import { until } from '../until.js'

const MINUTE = 60_000

interface Post {
  clock: ManualClock
  registry: Registry
  budgets: Budgets
  site: Site
  audit: AuditEntry[]
  errors: RegistryEvents['error'][]
  /** The whole answer, parsed. */
  act: (body: unknown, options?: AskOptions) => Promise<Answer & { json: Record<string, unknown> }>
  /** Work of `feed` that runs until the test ends it. */
  work: () => Gate<void>
}

async function post(station: Station, options: Partial<StationOptions> = {}): Promise<Post> {
  const clock = new ManualClock()
  const registry = createRegistry({ clock })
  const feed = registry.dependency('feed')
  registry.dependency('orders', { tags: ['writes'] })
  registry.dependency('users', { tags: ['writes'] })
  const budgets = createBudgets({ slots: 2, classes: { pages: { queue: 0 }, callbacks: {} }, clock })
  const audit: AuditEntry[] = []
  const errors: RegistryEvents['error'][] = []
  registry.on('error', (error) => errors.push(error))
  const operator: OperatorOptions<unknown> = {
    authorize: () => 'ada',
    audit: (entry) => audit.push(entry),
    ...options.operator,
  }
  const site = await station.start({ registry, budgets, ...options, operator })
  onTestFinished(() => site.close())
  return {
    clock,
    registry,
    budgets,
    site,
    audit,
    errors,
    act: async (body, more) => {
      const answer = await fetched(site, '/ops', { body, ...more })
      expect(answer.headers['cache-control']).toBe('no-store')
      expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
      const json = JSON.parse(answer.text) as Record<string, unknown>
      expect(json.ok).toBe(answer.status === 200)
      return { ...answer, json }
    },
    work: () => {
      const work = gate()
      feed.run(() => work.promise, { name: 'load', label: 'nightly' }).catch(() => undefined)
      return work
    },
  }
}

/** What operators may do over HTTP, whatever the framework. */
export function operatorContract(station: Station): void {
  describe(`${station.name}: an operator's action`, () => {
    it('forces a mode by name and by tag, for a time or for ever, and clears it', async () => {
      const { act, registry, clock } = await post(station)
      const forced = await act({
        action: 'setMode',
        name: 'feed',
        mode: 'unavailable',
        reason: 'upgrade',
        notice: 'Noon',
      })
      expect(forced).toMatchObject({ status: 200, json: { ok: true, modes: { feed: 'unavailable' } } })
      expect(registry.snapshot().feed).toMatchObject({ reason: 'upgrade', notice: 'Noon' })
      const many = { action: 'setMode', tag: 'writes', mode: 'unavailable', reason: 'read-only', for: 'forever' }
      expect((await act(many)).json.modes).toEqual({ orders: 'unavailable', users: 'unavailable' })
      await clock.advance(24 * 60 * MINUTE)
      expect(registry.get('feed')!.mode).toBe('available')
      expect(registry.get('orders')!.mode).toBe('unavailable')
      expect((await act({ action: 'clearMode', tag: 'writes' })).json.modes).toEqual({
        orders: 'available',
        users: 'available',
      })
      const told = registry.history('orders').map(({ kind, cause }) => [kind, cause.by])
      expect(told).toContainEqual(['setMode', 'ada'])
      expect(told).toContainEqual(['clearMode', 'ada'])
    })

    it('disables, enables and remarks', async () => {
      const { act, registry, clock } = await post(station)
      await act({ action: 'disable', name: 'feed', reason: 'suspect', for: MINUTE })
      expect(registry.get('feed')!.health().mode).toBe('available')
      await act({ action: 'enable', name: 'feed' })
      await act({ action: 'disable', name: 'feed', for: MINUTE })
      await clock.advance(MINUTE)
      await act({ action: 'note', name: 'feed', text: 'the disk was full' })
      const entries = registry.history('feed').map(({ kind, cause: { reason, by } }) => [kind, reason, by])
      expect(entries).toEqual([
        ['disable', 'suspect', 'ada'],
        ['enable', 'enabled', 'ada'],
        ['disable', 'disabled', 'ada'],
        ['enable', 'expired', undefined],
        ['note', 'the disk was full', 'ada'],
      ])
    })

    it('acknowledges, and tells what is still broken', async () => {
      const { act, registry, clock } = await post(station)
      let holds = false
      const sums = invariant('sums', () => holds, { every: MINUTE })
      const ledger = registry.dependency('ledger', { invariants: [sums] })
      await clock.advance(2 * MINUTE)
      expect(ledger.mode).toBe('unavailable')
      expect(await act({ action: 'acknowledge', name: 'ledger' })).toMatchObject({
        status: 200,
        json: { holds: false, broken: [{ invariant: 'sums' }], modes: { ledger: 'unavailable' } },
      })
      holds = true
      expect((await act({ action: 'acknowledge', name: 'ledger', note: 'repaired' })).json).toEqual({
        ok: true,
        holds: true,
        broken: [],
        modes: { ledger: 'available' },
      })
      expect(registry.history('ledger').map(({ kind, cause: { reason, by } }) => [kind, reason, by])).toContainEqual([
        'acknowledge',
        'repaired',
        'ada',
      ])
    })

    it('injects faults, for a time or until they are stopped', async () => {
      const { act, registry, clock } = await post(station)
      const feed = registry.get('feed')!
      const run = (): Promise<unknown> => feed.run(() => 'real').catch((error: unknown) => error)
      await act({ action: 'inject', name: 'feed', error: 'gone', status: 410, reason: 'drill', for: MINUTE })
      expect(await run()).toMatchObject({ message: 'gone', status: 410 })
      expect(feed.health().warnings).toMatchObject([{ warning: 'injected' }])
      await act({ action: 'inject', name: 'feed', value: null, for: MINUTE })
      expect(await run()).toBeNull()
      expect((await act({ action: 'stopInjecting', name: 'feed' })).json).toEqual({
        ok: true,
        modes: { feed: 'available' },
      })
      expect(await run()).toBe('real')
      await act({ action: 'inject', tag: 'writes', status: 503, for: MINUTE })
      await expect(registry.get('users')!.run(() => 1)).rejects.toMatchObject({ status: 503 })
      await clock.advance(MINUTE)
      expect(await registry.get('users')!.run(() => 1)).toBe(1)
      const entries = registry.history('feed').map(({ kind, cause: { reason, by } }) => [kind, reason, by])
      expect(entries.slice(0, 3)).toEqual([
        ['inject', 'error: drill', 'ada'],
        ['inject', 'value', 'ada'],
        ['stopInjecting', 'stopped: value', 'ada'],
      ])
    })

    it('pauses a class of routes and resumes it', async () => {
      const { act, budgets, audit } = await post(station)
      expect(await act({ action: 'pause', budget: 'callbacks', reason: 'flood', for: 'forever' })).toMatchObject({
        status: 200,
        text: '{"ok":true}',
      })
      expect(budgets.usage().classes.callbacks!.paused).toEqual({ reason: 'flood', by: 'ada', until: Infinity })
      await act({ action: 'resume', budget: 'callbacks' })
      expect(budgets.usage().classes.callbacks!.paused).toBeUndefined()
      expect(audit.map(({ action, target, by }) => [action, target, by])).toEqual([
        ['pause', { budget: 'callbacks' }, 'ada'],
        ['resume', { budget: 'callbacks' }, 'ada'],
      ])
    })

    it('is done while all slots are taken and every class is paused', async () => {
      const { act, budgets } = await post(station)
      for (const name of budgets.names) {
        budgets.take(name)
        budgets.pause(name, { reason: 'flood' })
      }
      expect((await act({ action: 'resume', budget: 'pages' })).status).toBe(200)
    })
  })

  describe(`${station.name}: what isn't an action`, () => {
    it.each(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
      '%s is told to POST, and does nothing',
      async (method) => {
        const { site, registry, audit } = await post(station)
        const headers = { origin: 'http://evil.example', 'access-control-request-method': 'POST' }
        const answer = await fetched(site, '/ops?action=setMode&name=feed&mode=unavailable&reason=x', {
          method,
          headers,
        })
        expect(answer).toMatchObject({ status: 405, headers: { allow: 'POST', 'cache-control': 'no-store' } })
        expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
        expect(registry.get('feed')!.mode).toBe('available')
        expect(audit).toEqual([])
      },
    )

    it.each([
      ['a form', 'application/x-www-form-urlencoded'],
      ['text, as a page may send it without asking', 'text/plain'],
      ['something like it', 'application/json-seq'],
    ])('%s is refused', async (_case, type) => {
      const { act, registry } = await post(station)
      const headers = { 'content-type': type }
      const answer = await act({ action: 'setMode', name: 'feed', mode: 'unavailable', reason: 'x' }, { headers })
      expect(answer.status).toBe(415)
      expect(registry.get('feed')!.mode).toBe('available')
    })

    it('nothing at all is refused', async () => {
      const { act, site } = await post(station)
      expect((await act(undefined, { method: 'POST' })).status).toBe(415)
      const empty = await wire(site)
      empty.socket.write(head('/ops', { 'content-type': 'application/json', 'content-length': 0 }, 'POST'))
      await until(() => empty.received().includes('\r\n\r\n'), 'it is answered')
      expect(empty.received()).toMatch(/^HTTP\/1\.1 400 /)
    })

    it('more than an action needs is refused, in chunks too, and the server goes on', async () => {
      const { act, site, registry } = await post(station)
      const action = { action: 'note', name: 'feed', text: 'x'.repeat(20_000) }
      expect((await act(action)).status).toBe(413)
      const chunked = await wire(site)
      chunked.socket.write(head('/ops', { 'content-type': 'application/json', 'transfer-encoding': 'chunked' }, 'POST'))
      const text = JSON.stringify(action)
      chunked.socket.write(`${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`)
      await until(() => chunked.received().includes('\r\n\r\n'), 'it is answered')
      expect(chunked.received()).toMatch(/^HTTP\/1\.1 413 /)
      expect(registry.history()).toEqual([])
      expect((await act({ action: 'note', name: 'feed', text: 'x' })).status).toBe(200)
    })

    it('what never comes whole is given up, and harms nobody', async () => {
      const { act, site, clock, registry } = await post(station)
      const part = head('/ops', { 'content-type': 'application/json', 'content-length': 100 }, 'POST') + '{ "action":'
      if (station.reads) {
        const slow = await wire(site)
        const before = clock.pending({ referenced: true })
        slow.socket.write(part)
        await until(() => clock.pending({ referenced: true }) > before, 'it is being read')
        await clock.advance(10_000)
        await until(() => slow.received().includes('\r\n\r\n'), 'it is answered')
        expect(slow.received()).toMatch(/^HTTP\/1\.1 408 /)
        await until(() => slow.socket.closed, 'nothing more of it is read')
      }
      const broken = await wire(site)
      broken.socket.end(part)
      expect(registry.history()).toEqual([])
      expect((await act({ action: 'note', name: 'feed', text: 'x' })).status).toBe(200)
    })

    it.each([
      ['no object', ['setMode'], 'body'],
      ['no action', {}, 'action'],
      ['an unknown one', { action: 'reboot', name: 'feed' }, 'action'],
      ['one that objects have', { action: 'constructor', name: 'feed' }, 'action'],
      ['no target', { action: 'enable' }, 'enable.name'],
      ['two targets', { action: 'clearMode', name: 'feed', tag: 'writes' }, 'clearMode.name'],
      ['a tag where one name is asked for', { action: 'disable', tag: 'writes' }, 'disable.name'],
      ['no reason', { action: 'setMode', name: 'feed', mode: 'unavailable' }, 'setMode.reason'],
      ['no reason for a drain', { action: 'drain', name: 'feed' }, 'drain.reason'],
      ['a mode that is none', { action: 'setMode', name: 'feed', mode: 'down', reason: 'x' }, 'setMode.mode'],
      ['a name it does not know', { action: 'enable', name: 'feed', force: true }, 'enable.force'],
      ['no time', { action: 'disable', name: 'feed', for: 0 }, 'disable.for'],
      ['a time in words', { action: 'disable', name: 'feed', for: '5m' }, 'disable.for'],
      ['a lease for ever', { action: 'drain', name: 'feed', reason: 'x', for: 'forever' }, 'drain.for'],
      ['a fault that is none', { action: 'inject', name: 'feed', for: 1_000 }, 'inject'],
      ['a fault without an end', { action: 'inject', name: 'feed', hang: true }, 'inject.for'],
      ['two faults', { action: 'inject', name: 'feed', hang: true, status: 503, for: 1_000 }, 'inject.hang'],
      ['no HTTP status', { action: 'inject', name: 'feed', status: 600, for: 1_000 }, 'inject.status'],
      ['a reason that is none', { action: 'pause', budget: 'pages', reason: '' }, 'pause.reason'],
    ])('%s is refused, and named', async (_case, body, option) => {
      const { act, registry } = await post(station)
      expect(await act(body)).toMatchObject({ status: 400, json: { ok: false, option } })
      expect(registry.history()).toEqual([])
    })

    it('an unknown dependency, tag or budget is not found; nobody else learns which there are', async () => {
      let allowed = true
      const { act } = await post(station, { operator: { authorize: () => (allowed ? 'ada' : false) } })
      const unknown = [
        { action: 'enable', name: 'fed' },
        { action: 'enable', name: '__proto__' },
        { action: 'clearMode', tag: 'reads' },
        { action: 'resume', budget: 'ajax' },
      ]
      for (const body of unknown) expect((await act(body)).status).toBe(404)
      allowed = false
      for (const body of unknown) expect((await act(body)).status).toBe(403)
    })

    it('nor is anything done once the registry is closed', async () => {
      const { act, registry } = await post(station)
      await registry.close()
      for (const body of [
        { action: 'setMode', name: 'feed', mode: 'unavailable', reason: 'x' },
        { action: 'drain', name: 'feed', reason: 'x' },
        { action: 'acknowledge', name: 'feed' },
      ])
        expect((await act(body)).status).toBe(503)
    })
  })

  describe(`${station.name}: who may`, () => {
    const body = { action: 'setMode', name: 'feed', mode: 'unavailable', reason: 'upgrade', by: 'mallory' }

    it('is asked for each action, with what it is done to and the request', async () => {
      const asked: unknown[] = []
      const { act } = await post(station, {
        operator: {
          authorize: ({ action, target, request }) => {
            asked.push([action, target, (request as { headers: Record<string, string> }).headers.cookie])
            return 'ada'
          },
        },
      })
      await act(body, { headers: { cookie: 'sid=1' } })
      await act({ action: 'clearMode', tag: 'writes' })
      await act({ action: 'pause', budget: 'pages', reason: 'x' })
      expect(asked).toEqual([
        ['setMode', { name: 'feed' }, 'sid=1'],
        ['clearMode', { tag: 'writes' }, undefined],
        ['pause', { budget: 'pages' }, undefined],
      ])
    })

    it.each([
      ['a name', 'ada', 'ada'],
      ['a name that took a while', Promise.resolve({ by: 'ada' }), 'ada'],
      ['leave, and no name', {}, 'mallory'],
    ])('%s goes before what the body says', async (_case, authorized, by) => {
      const { act, registry, audit } = await post(station, { operator: { authorize: () => authorized } })
      expect((await act(body)).status).toBe(200)
      expect(registry.history('feed')[0]!.cause).toEqual({ kind: 'operator', reason: 'upgrade', by })
      expect(audit).toMatchObject([{ action: 'setMode', target: { name: 'feed' }, by, outcome: 'done', status: 200 }])
    })

    it('is refused, and that is audited without the name he gave', async () => {
      const { act, registry, audit } = await post(station, { operator: { authorize: async () => false as const } })
      expect(await act(body)).toMatchObject({ status: 403, json: { error: 'Forbidden' } })
      expect(registry.history()).toEqual([])
      expect(audit).toEqual([
        {
          at: expect.any(Number) as number,
          action: 'setMode',
          target: { name: 'feed' },
          outcome: 'refused',
          status: 403,
        },
      ])
    })

    it.each([
      ['throws', () => { throw new Error('ldap://secret is down') }], // prettier-ignore
      ['rejects', () => Promise.reject(new Error('ldap://secret is down'))],
      ['gives nothing', () => undefined],
      ['gives true', () => true],
      ['gives an empty name', () => ''],
      ['gives a row of its own', () => ({ by: 'ada', password: 'secret' })],
    ])('where authorize %s, nothing is done and nothing told', async (_case, authorize) => {
      const { act, registry, errors, audit } = await post(station, { operator: { authorize: authorize as never } })
      expect(await act(body)).toMatchObject({ status: 500, text: '{"ok":false,"error":"Internal Server Error"}' })
      expect(registry.history()).toEqual([])
      expect(errors).toMatchObject([{ event: 'authorize' }])
      expect(audit).toMatchObject([{ action: 'setMode', outcome: 'failed', status: 500 }])
    })

    it('where authorize hangs, neither; and what it says too late counts for nothing', async () => {
      const asked = gate<string>()
      let begun = false
      const { act, clock, registry } = await post(station, {
        operator: {
          authorize: () => {
            begun = true
            return asked.promise
          },
        },
      })
      const answer = act(body)
      await until(() => begun, 'it is asked')
      await clock.advance(10_000)
      expect((await answer).status).toBe(500)
      asked.open('ada')
      await clock.advance(0)
      expect(registry.history()).toEqual([])
    })

    it('an audit that throws harms nobody', async () => {
      for (const audit of [
        () => {
          throw new Error('disk full')
        },
        () => Promise.reject(new Error('disk full')),
      ]) {
        const { act, errors, clock } = await post(station, { operator: { audit } })
        expect((await act(body)).status).toBe(200)
        await clock.advance(0)
        expect(errors).toMatchObject([{ event: 'audit' }])
      }
    })
  })

  describe(`${station.name}: a browser`, () => {
    const body = { action: 'note', name: 'feed', text: 'x' }

    it.each<[string, (port: number) => Record<string, string>, number, boolean?]>([
      ['its own page', (port) => ({ origin: `http://127.0.0.1:${port}`, 'sec-fetch-site': 'same-origin' }), 200],
      ['no browser', () => ({}), 200],
      ['another site', () => ({ origin: 'http://evil.example' }), 403],
      ['another port', (port) => ({ origin: `http://127.0.0.1:${port + 1}` }), 403],
      ['no port where there is one', () => ({ origin: 'http://127.0.0.1' }), 403],
      ['another scheme', (port) => ({ origin: `https://127.0.0.1:${port}` }), 403],
      ['another name of the same', (port) => ({ origin: `http://localhost:${port}` }), 403],
      ['a name that begins with it', (port) => ({ origin: `http://127.0.0.1:${port}.evil.example` }), 403],
      ['it as a user of another', (port) => ({ origin: `http://127.0.0.1:${port}@evil.example` }), 403],
      ['nobody', () => ({ origin: 'null' }), 403],
      ['an empty one', () => ({ origin: '' }), 403],
      ['another site, as the browser says', () => ({ 'sec-fetch-site': 'cross-site' }), 403],
      ['a sister site', () => ({ 'sec-fetch-site': 'same-site' }), 403],
      ['the port that is its scheme’s own', () => ({ host: 'ops.example:80', origin: 'http://ops.example' }), 200],
      ['a forged host', () => ({ host: 'x@evil.example', origin: 'http://evil.example' }), 403],
      ['a proxy that nobody trusts', () => ({ ...proxied, origin: 'https://ops.example' }), 403],
      ['a proxy that is trusted', () => ({ ...proxied, origin: 'https://ops.example' }), 200, true],
      ['another site through it', () => ({ ...proxied, origin: 'https://evil.example' }), 403, true],
      ['the inside of it', (port) => ({ ...proxied, origin: `http://127.0.0.1:${port}` }), 403, true],
    ])('that sends for %s', async (_case, headers, status, trust = false) => {
      const { act, site, registry, audit } = await post(station, { trust })
      expect((await act(body, { headers: headers(site.port) })).status).toBe(status)
      expect(registry.history()).toHaveLength(status === 200 ? 1 : 0)
      expect(audit).toHaveLength(1)
      if (status === 403) expect(audit[0]).toEqual({ at: audit[0]!.at, outcome: 'refused', status: 403 })
    })
  })

  describe(`${station.name}: a drain`, () => {
    const body = { action: 'drain', name: 'feed', reason: 'repair', timeout: MINUTE }

    it('is answered when nothing runs any more, also after the deadline of requests, and ends with its token', async () => {
      const { act, work, clock, registry, audit } = await post(station, { deadline: 1_000 })
      const running = work()
      const answer = act(body)
      await until(() => registry.get('feed')!.mode === 'unavailable', 'it is drained')
      await clock.advance(30_000)
      running.open()
      const drained = await answer
      expect(drained).toMatchObject({ status: 200, json: { ok: true, modes: { feed: 'unavailable' } } })
      const { token, expires } = drained.json as { token: string; expires: number }
      expect(token).toMatch(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/)
      expect(expires).toBe(clock.wall() + 10 * MINUTE)
      expect((await act({ action: 'release', name: 'feed', token })).json.modes).toEqual({ feed: 'available' })
      const told = registry.history('feed').map(({ kind, cause }) => [kind, cause.by])
      expect(told).toContainEqual(['drain', 'ada'])
      expect(told).toContainEqual(['release', 'ada'])
      expect(audit.map(({ action, outcome }) => [action, outcome])).toEqual([
        ['drain', 'done'],
        ['release', 'done'],
      ])
      expect(JSON.stringify([audit, registry.history()])).not.toContain(token)
      expect((await act({ action: 'release', name: 'feed', token })).status).toBe(409)
    })

    it('is refused with what holds it, and lets calls in again', async () => {
      const { act, work, clock, registry } = await post(station)
      const running = work()
      const answer = act({ ...body, timeout: 100, grace: 50 })
      await until(() => registry.get('feed')!.mode === 'unavailable', 'it is drained')
      await clock.advance(150)
      const { status, json } = await answer
      expect([status, json.held]).toEqual([409, [{ operation: 'load', label: 'nightly', age: 150 }]])
      expect(registry.get('feed')!.mode).toBe('available')
      running.open()
    })

    it('ends by itself when its time is over, unless it is renewed', async () => {
      const { act, clock, registry, audit } = await post(station)
      const { token } = (await act({ ...body, for: MINUTE })).json as { token: string }
      await clock.advance(MINUTE - 1)
      expect((await act({ action: 'drain', name: 'feed', token, for: MINUTE })).json).toMatchObject({
        token,
        expires: clock.wall() + MINUTE,
      })
      await clock.advance(MINUTE - 1)
      expect(registry.get('feed')!.mode).toBe('unavailable')
      await clock.advance(1)
      expect(registry.get('feed')!.mode).toBe('available')
      expect(registry.history('feed').map(({ cause }) => cause.reason)).toContain(
        'a drain was ended: its lease had expired',
      )
      expect(audit.at(-1)).toEqual({
        at: clock.wall(),
        action: 'drain',
        target: { name: 'feed' },
        by: 'ada',
        outcome: 'ended',
      })
      expect((await act({ action: 'drain', name: 'feed', token })).status).toBe(409)
    })

    it('is nobody else’s to end or renew: not by a guess, nor with the token of another', async () => {
      const { act, registry } = await post(station)
      await act(body)
      const other = (await act({ ...body, name: 'orders' })).json as { token: string }
      for (const token of ['x', other.token, 'constructor'])
        for (const action of ['release', 'drain']) expect((await act({ action, name: 'feed', token })).status).toBe(409)
      const both = { action: 'drain', name: 'orders', token: other.token, reason: 'again' }
      expect(await act(both)).toMatchObject({ status: 400, json: { option: 'drain.reason' } })
      expect(registry.get('feed')!.mode).toBe('unavailable')
      expect(registry.get('orders')!.mode).toBe('unavailable')
    })

    it('holds while somebody else’s does', async () => {
      const { act, registry } = await post(station)
      const [one, two] = [await act(body), await act(body)]
      await act({ action: 'release', name: 'feed', token: one.json.token })
      expect(registry.get('feed')!.mode).toBe('unavailable')
      await act({ action: 'release', name: 'feed', token: two.json.token })
      expect(registry.get('feed')!.mode).toBe('available')
    })

    it('is given up when whoever asked for it goes, and aborts nothing', async () => {
      const { work, site, registry, audit, clock } = await post(station)
      const running = work()
      const asking = ask(site, '/ops', { body })
      await until(() => registry.get('feed')!.mode === 'unavailable', 'it is drained')
      asking.leave()
      await until(() => registry.get('feed')!.mode === 'available', 'it is released')
      expect(registry.get('feed')!.inFlight()).toMatchObject([{ callerGone: false }])
      await until(() => audit.length > 0, 'it is audited')
      expect(audit).toEqual([
        { at: clock.wall(), action: 'drain', target: { name: 'feed' }, by: 'ada', outcome: 'failed' },
      ])
      running.open()
      await until(() => clock.pending({ referenced: true }) === 0, 'nothing waits')
    })

    it('is given up too when he had gone before it began', async () => {
      const asked = gate<string>()
      let begun = false
      const { site, registry, audit } = await post(station, {
        operator: {
          authorize: () => {
            begun = true
            return asked.promise
          },
        },
      })
      const closed = new Promise((resolve) => site.server.once('connection', (socket) => socket.once('close', resolve)))
      const asking = ask(site, '/ops', { body })
      await until(() => begun, 'it is asked')
      asking.leave()
      await closed
      asked.open('ada')
      await until(() => audit.length > 0, 'it is audited')
      expect(registry.get('feed')!.mode).toBe('available')
    })

    it('is given up when somebody else answers in its place', async () => {
      let answerInstead!: () => void
      const made = await post(station, { meanwhile: (answer) => (answerInstead = answer) })
      const { work, site, registry, audit } = made
      const running = work()
      const asking = ask(site, '/ops', { body })
      await until(() => registry.get('feed')!.mode === 'unavailable', 'it is drained')
      answerInstead()
      running.open()
      expect(await asking.answer).toMatchObject({ status: 503, text: '{"theirs":true}' })
      await until(() => audit.length > 0, 'it is audited')
      expect(audit.at(-1)).not.toHaveProperty('status')
      expect(registry.get('feed')!.mode).toBe('available')
    })

    it('ends with the app, and leaves no timer', async () => {
      const { act, site, registry, clock } = await post(station)
      await act(body)
      await site.close()
      expect(registry.get('feed')!.mode).toBe('available')
      expect(clock.pending({ referenced: true })).toBe(0)
    })
  })

  describe(`${station.name}: without authorize`, () => {
    it.each(['production', 'test', ''])('nothing is built where NODE_ENV is %j', async (env) => {
      environment(env)
      await expect(post(station, { operator: { authorize: undefined as never } })).rejects.toMatchObject({
        code: 'ERR_OPTION',
        path: 'operator.authorize',
      })
    })

    it('this machine alone is served in development, under its own name', async () => {
      environment('development')
      const { act, registry } = await post(station, { operator: { authorize: undefined as never } })
      const body = { action: 'note', name: 'feed', text: 'x', by: 'ada' }
      expect((await act(body)).status).toBe(200)
      expect(registry.history('feed')[0]!.cause.by).toBe('ada')
      // A name of somebody else's that resolves to 127.0.0.1: his page passes for the app's own.
      const headers = { host: 'evil.example', origin: 'http://evil.example', 'sec-fetch-site': 'same-origin' }
      expect((await act(body, { headers })).status).toBe(403)
    })
  })
}

const proxied = { 'x-forwarded-host': 'ops.example', 'x-forwarded-proto': 'https' }

function environment(value: string): void {
  const before = process.env.NODE_ENV
  process.env.NODE_ENV = value
  onTestFinished(() => {
    process.env.NODE_ENV = before
  })
}
