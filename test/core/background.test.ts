import { describe, expect, it } from 'vitest'
import { Background } from '../../src/core/background.js'
import { ManualClock, settle } from '../../src/testing.js'
import { gate } from '../support/gate.js'

describe('background work', () => {
  it('is done in ten lanes: what comes next waits until one is free', async () => {
    const background = new Background(new ManualClock())
    const works = Array.from({ length: 25 }, () => gate())
    let running = 0
    let most = 0
    const all = works.map((work) =>
      background.run('probe', async () => {
        most = Math.max(most, ++running)
        await work.promise
        running--
      }),
    )
    await settle()
    expect(running).toBe(10)
    works[3]!.open()
    await settle()
    expect(running).toBe(10)
    for (const work of works) work.open()
    await Promise.all(all)
    expect([most, running]).toEqual([10, 0])
  })

  it('of one kind waits for none of another', async () => {
    const background = new Background(new ManualClock())
    for (let i = 0; i < 1_000; i++) void background.run('probe', () => new Promise(() => undefined))
    expect(await background.run('invariant', () => Promise.resolve('read'))).toBe('read')
  })

  it('that has not begun is dropped at the end, with all that was to come', async () => {
    const clock = new ManualClock()
    const background = new Background(clock)
    const works = Array.from({ length: 12 }, () => gate())
    let begun = 0
    for (const work of works)
      void background.run('probe', () => {
        begun++
        return work.promise
      })
    background.agenda.in(100, () => begun++)
    await settle()
    background.close()
    for (const work of works) work.open()
    await clock.advance(1_000)
    expect([begun, clock.pending()]).toEqual([10, 0])
  })
})
