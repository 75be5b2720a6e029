import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { controlApp } from '../../docs/examples/portal/interactive/control.js'
import { LastMinute } from '../../docs/examples/portal/interactive/last-minute.js'
import { serve } from '../../docs/examples/replay/serve.js'
import { startSite, type Site, type Variant } from '../../docs/examples/portal/site.js'

let site: Site

beforeEach(async () => {
  site = await startSite()
})

afterEach(() => site.stop())

const title = 'How a cofferdam keeps the river out'
const age = /Showing what we had .+ ago/
const unavailable = /Unavailable since \d\d:\d\d:\d\d/

async function visit(variant: Variant, article = '1'): Promise<{ status: number; html: string }> {
  const response = await fetch(`${site.urls[variant]}/articles/${article}`, { signal: AbortSignal.timeout(10_000) })
  return { status: response.status, html: await response.text() }
}

/** Real sockets and real circuits: visits again until the page shows what is expected, within bounds. */
async function visitUntil(shows: (html: string) => boolean): Promise<string> {
  let html = ''
  for (let tries = 0; tries < 200; tries++) {
    const page = await visit('guarded')
    expect(page.status).toBe(200)
    expect(page.html).toContain(title)
    if (shows(page.html)) return page.html
    html = page.html
    await sleep(50)
  }
  throw new Error(`The page never came to show it; the last one:\n${html}`)
}

test('while recommendations fail the page shows older ones with their age, then that they are unavailable, then recovers', async () => {
  expect((await visit('guarded')).html).not.toMatch(age)

  await site.upstreams.behave('recommendations', 'fail')
  const failing = await visitUntil((html) => age.test(html))
  expect(failing).toContain('Bulkheads &amp; ballast')
  await visitUntil((html) => unavailable.test(html) && age.test(html))
  expect(site.registry.snapshot()['recommendations']?.mode).toBe('unavailable')

  await site.upstreams.behave('recommendations', 'healthy')
  await visitUntil((html) => !unavailable.test(html) && !age.test(html))
})

test('a counter that hangs before it ever answered is left out, and the unguarded page waits for it', async () => {
  await site.upstreams.behave('activity', 'hang')
  let answered = false
  const unguarded = visit('unguarded').finally(() => (answered = true))

  const { status, html } = await visit('guarded')
  expect(status).toBe(200)
  expect(html).toContain(title)
  expect(html).not.toContain('people are reading this')
  expect(answered).toBe(false)

  await site.upstreams.behave('activity', 'healthy')
  expect((await unguarded).status).toBe(200)
})

test('while articles fail the guarded portal shows the article that it has, and the unguarded none', async () => {
  await visit('guarded')
  await site.upstreams.behave('articles', 'fail')
  await visitUntil((html) => age.test(html))
  expect((await visit('unguarded')).status).toBe(503)
  expect((await visit('guarded', '2')).status).toBe(503)
})

test('an article that does not exist is a 404, however often it is asked for, and no failure of the upstream', async () => {
  for (let number = 0; number < 12; number++) expect((await visit('guarded', 'none')).status).toBe(404)
  expect(site.registry.snapshot()['articles']?.mode).toBe('available')
})

test('the control page is served, tells the state, and switches an upstream by JSON only', async () => {
  const control = await serve(controlApp(site, { guarded: new LastMinute(), unguarded: new LastMinute() }))
  try {
    expect(await (await fetch(control.url)).text()).toContain('Break something')

    const put = (name: string, body: string, type = 'application/json'): Promise<Response> =>
      fetch(`${control.url}/upstreams/${name}`, { method: 'PUT', headers: { 'content-type': type }, body })
    expect((await put('articles', '{"behaviour":"slow"}')).status).toBe(204)
    expect((await put('articles', '{"behaviour":"explode"}')).status).toBe(400)
    expect((await put('articles', 'behaviour=hang', 'application/x-www-form-urlencoded')).status).toBe(400)
    expect((await put('nobody', '{"behaviour":"hang"}')).status).toBe(400)

    const state: unknown = await (await fetch(`${control.url}/state`)).json()
    expect(state).toMatchObject({
      upstreams: [{ name: 'articles', behaviour: 'slow', health: { mode: 'available' } }, {}, {}],
      portals: [{ variant: 'guarded' }, { variant: 'unguarded' }],
      history: [],
    })
  } finally {
    await control.stop()
  }
})
