import { describe, expect, it } from 'vitest'
import { Events } from '../../src/core/events.js'
import { settle } from '../../src/testing.js'

interface Known {
  flip: { to: string }
  leak: { count: number }
}

function events() {
  const errors: unknown[] = []
  const all = new Events<Known>((error, event) => errors.push([error, event]))
  return { all, errors }
}

describe('an event', () => {
  it('reaches all of its listeners in order, and nobody else', () => {
    const { all } = events()
    const heard: string[] = []
    all.on('flip', ({ to }) => heard.push(`first ${to}`))
    all.on('flip', ({ to }) => heard.push(`second ${to}`))
    all.on('leak', () => heard.push('leak'))
    all.emit('flip', { to: 'unavailable' })
    expect(heard).toEqual(['first unavailable', 'second unavailable'])
  })

  it('brings a frozen payload', () => {
    const { all } = events()
    const payload = { to: 'unavailable' }
    all.emit('flip', payload)
    expect(Object.isFrozen(payload)).toBe(false)
    all.on('flip', () => undefined)
    all.emit('flip', payload)
    expect(Object.isFrozen(payload)).toBe(true)
  })

  it('is worth its payload only while somebody listens', () => {
    const { all } = events()
    expect(all.has('flip')).toBe(false)
    const off = all.on('flip', () => undefined)
    expect([all.has('flip'), all.has('leak')]).toEqual([true, false])
    off()
    off()
    expect(all.has('flip')).toBe(false)
  })
})

describe('a listener', () => {
  it('registered twice hears twice, and takes two removals', () => {
    const { all } = events()
    let heard = 0
    const listener = (): number => heard++
    const off = all.on('flip', listener)
    all.on('flip', listener)
    all.emit('flip', { to: 'x' })
    expect(heard).toBe(2)
    off()
    all.emit('flip', { to: 'x' })
    expect(heard).toBe(3)
  })

  it('that throws or rejects hurts neither the emitter nor the other listeners, and is reported', async () => {
    const { all, errors } = events()
    const heard: string[] = []
    const [thrown, rejected] = [new Error('thrown'), new Error('rejected')]
    all.on('flip', () => {
      throw thrown
    })
    all.on('flip', () => Promise.reject(rejected))
    all.on('flip', () => heard.push('third'))
    all.emit('flip', { to: 'x' })
    expect(heard).toEqual(['third'])
    await settle()
    expect(errors).toEqual([
      [thrown, 'flip'],
      [rejected, 'flip'],
    ])
  })

  it('that throws hurts nobody even when its report throws, too', async () => {
    const all = new Events<Known>(() => {
      throw new Error('the reporter')
    })
    all.on('flip', () => {
      throw new Error('thrown')
    })
    all.on('flip', () => Promise.reject(new Error('rejected')))
    expect(() => {
      all.emit('flip', { to: 'x' })
    }).not.toThrow()
    await settle()
  })

  it('may add and remove listeners while it is told: they count from the next event on', () => {
    const { all } = events()
    const heard: string[] = []
    const off = all.on('flip', () => {
      heard.push('first')
      off()
      all.on('flip', () => heard.push('late'))
    })
    all.emit('flip', { to: 'x' })
    expect(heard).toEqual(['first'])
    all.emit('flip', { to: 'x' })
    expect(heard).toEqual(['first', 'late'])
  })
})
