// Run against the installed package on every supported Node, with whatever majors of its packages npm picks there.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { compose, createPool, createRegistry, fallback, timeout } from 'cofferdam'
import { ManualClock } from 'cofferdam/testing'

const never = () => new Promise(() => undefined)
const down = () => Promise.reject(new Error('down'))
const checks = {
  async 'a value, a promise and a throw'() {
    const feed = createRegistry().dependency('feed')
    assert.equal(await feed.run(() => 1), 1)
    assert.equal(await feed.run(() => Promise.resolve(2)), 2)
    await assert.rejects(
      feed.run(() => {
        throw new Error('sync')
      }),
      /sync/,
    )
  },
  async 'timeout, signal, stale value and fallback'() {
    const clock = new ManualClock()
    const feed = createRegistry({ clock }).dependency('feed', { timeout: 100 })
    let answer = () => Promise.resolve('live')
    let signal
    const load = feed.wrap(
      (context) => {
        signal = context.signal
        return answer()
      },
      { name: 'load', key: () => 'k', scope: 'public' },
    )
    assert.equal(await load(), 'live')
    answer = never
    const late = load.outcome()
    await clock.advance(100)
    assert.deepEqual((({ value, source, age }) => ({ value, source, age }))(await late), {
      value: 'live',
      source: 'stale',
      age: 100,
    })
    assert.equal(signal.reason.code, 'ERR_CALL_TIMEOUT')
    assert.equal(await compose([fallback({ value: 'else' })], [timeout(50)])(down)(), 'else')
  },
  async 'the line in front of a full bulkhead (p-limit, p-timeout)'() {
    const clock = new ManualClock()
    const pool = createPool({ name: 'db', slots: 2 })
    const db = createRegistry({ clock }).dependency('db', { bulkhead: { pool, maxWait: 50 } })
    let finish
    const first = db.run(() => new Promise((resolve) => (finish = resolve)))
    const second = db.run(never)
    const third = db.run(() => 'third')
    const fourth = db.run(() => 'fourth')
    await clock.advance(10)
    finish('first')
    assert.deepEqual(await Promise.all([first, third, fourth]), ['first', 'third', 'fourth'])
    const fifth = db.run(never)
    const sixth = db.run(never)
    sixth.catch(() => undefined)
    await clock.advance(50)
    await assert.rejects(sixth, { code: 'ERR_QUEUE_TIMEOUT' })
    void second.catch(() => undefined)
    void fifth.catch(() => undefined)
  },
  async 'the circuit and its opossum breaker'() {
    const registry = createRegistry()
    const feed = registry.dependency('feed', { circuit: { openFor: 60 } })
    const seen = []
    for (const event of ['open', 'halfOpen', 'close']) feed.circuit.on(event, () => seen.push(event))
    for (let i = 0; i < 10; i++) await feed.run(down).catch(() => undefined)
    await assert.rejects(feed.run(down), { code: 'ERR_UNAVAILABLE' })
    while (!registry.snapshot().feed.available) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.equal(await feed.run(() => 'back'), 'back')
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(feed.mode, 'available')
    assert.deepEqual(seen, ['open', 'halfOpen', 'close'])
    await registry.close()
  },
  'require() of the package gives the same'() {
    const required = createRequire(import.meta.url)('cofferdam')
    assert.equal(required.createRegistry, createRegistry)
  },
}

for (const [name, check] of Object.entries(checks)) {
  await check()
  console.log(`ok  ${name}`)
}
console.log(`${Object.keys(checks).length} checks passed on Node ${process.version}`)
