import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { directedEdge } from '../../docs/examples/incidents/directed-edge/directed-edge.js'
import { startSite } from '../../docs/examples/incidents/directed-edge/site.js'

describe('Directed Edge, played again', () => {
  it('happens unguarded, and guarded it does not', { timeout: 150_000 }, async () => {
    const { claims, recordings } = await directedEdge.play(() => undefined)
    expect(claims.filter(({ holds }) => !holds)).toEqual([])
    expect(claims.filter(({ says }) => says.startsWith('unguarded'))).toHaveLength(3)
    expect(claims.filter(({ says }) => says.startsWith('guarded'))).toHaveLength(4)
    expect(recordings.map(({ variant }) => variant)).toEqual(['guarded', 'unguarded'])
  })

  it('has a guarded process that is restarted all the same when it is dead', { timeout: 60_000 }, async () => {
    const site = await startSite('guarded')
    onTestFinished(() => site.stop())
    await site.worker.stop('SIGKILL')
    for (let tries = 0; site.local.acted === 0 && tries < 400; tries++) await sleep(100)
    const { status } = await fetch(`${site.worker.url}/databases/books/1`)
    expect([site.local.acted, status]).toEqual([1, 200])
  })

  it('leaves no file behind', { timeout: 60_000 }, async () => {
    const site = await startSite('unguarded')
    expect(existsSync(site.directory)).toBe(true)
    await site.stop()
    expect(existsSync(site.directory)).toBe(false)
    await expect(fetch(site.worker.url)).rejects.toThrow()
  })
})
