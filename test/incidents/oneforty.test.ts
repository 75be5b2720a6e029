import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { guardedBalancer } from '../../docs/examples/incidents/oneforty/guarded-balancer.js'
import { oneforty } from '../../docs/examples/incidents/oneforty/oneforty.js'
import { serve } from '../../docs/examples/replay/serve.js'
import { describeWith } from '../support/servers/describe-with.js'

describeWith('memcached', 'oneforty, played again', () => {
  it('happens unguarded, and guarded it does not', { timeout: 150_000 }, async () => {
    const { claims, recordings } = await oneforty.play(() => undefined)
    expect(claims.filter(({ holds }) => !holds)).toEqual([])
    expect(claims.filter(({ says }) => says.startsWith('unguarded'))).toHaveLength(3)
    expect(claims.filter(({ says }) => says.startsWith('guarded'))).toHaveLength(5)
    expect(recordings.map(({ variant }) => variant)).toEqual(['guarded', 'unguarded'])
  })
})

/** An instance that keeps its pages waiting, and whose readiness is ours to say. */
async function startInstance() {
  const instance = { ready: false, asked: 0, release: (): void => undefined }
  const released = new Promise<void>((resolve) => {
    instance.release = resolve
  })
  const served = await serve((request, response) => {
    if (request.url === '/ready') {
      response.writeHead(instance.ready ? 200 : 503).end()
      return
    }
    instance.asked++
    void released.then(() => response.end('page'))
  })
  onTestFinished(() => served.stop())
  return Object.assign(instance, { url: served.url })
}

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds() && tries < 1_000; tries++) await sleep(20)
}

describe('the guarded balancer', () => {
  it('sends nothing to an instance that is not ready, then one page at a time, and the others elsewhere', async () => {
    const balancer = guardedBalancer(600_000)
    onTestFinished(() => balancer.stop())
    const [old, fresh] = [await startInstance(), await startInstance()]
    old.ready = true
    await balancer.add('old', old.url)
    await balancer.add('fresh', fresh.url)
    const early = Array.from({ length: 4 }, () => balancer.answer('/'))
    await until(() => old.asked === 4)
    expect([old.asked, fresh.asked]).toEqual([4, 0])

    fresh.ready = true
    const late: Promise<{ instance: string }>[] = []
    for (let tries = 0; fresh.asked === 0 && tries < 10; tries++) {
      late.push(balancer.answer('/'))
      await sleep(200)
    }
    late.push(...Array.from({ length: 4 }, () => balancer.answer('/')))
    await until(() => old.asked + fresh.asked === 4 + late.length)
    expect([old.asked + fresh.asked, fresh.asked]).toEqual([4 + late.length, 1])
    old.release()
    fresh.release()
    const answers = await Promise.all([...early, ...late])
    expect(answers.filter(({ instance }) => instance === 'fresh')).toHaveLength(1)
  })

  it('asks the next instance when one gives no answer', async () => {
    const balancer = guardedBalancer()
    onTestFinished(() => balancer.stop())
    const [dying, other] = [await serve(() => undefined), await startInstance()]
    other.ready = true
    other.release()
    await dying.stop()
    await balancer.add('dying', dying.url)
    await balancer.add('other', other.url)
    const answers = await Promise.all(Array.from({ length: 4 }, () => balancer.answer('/')))
    expect(answers.map(({ instance }) => instance)).toEqual(Array.from({ length: 4 }, () => 'other'))
  })
})
