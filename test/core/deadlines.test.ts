import { describe, expect, it } from 'vitest'
import { Deadlines, type Timed } from '../../src/core/deadlines.js'
import { ManualClock } from '../../src/testing.js'

class Item implements Timed<Item> {
  due = 0
  deadlines: Deadlines<Item> | undefined
  sooner: Item | undefined
  later: Item | undefined
  readonly name: string

  constructor(name: string) {
    this.name = name
  }
}

function deadlines(ms = 100, use: 'shared' | 'single' | 'background' = 'shared') {
  const clock = new ManualClock()
  const expired: string[] = []
  const all = new Deadlines<Item>(clock, ms, use, ({ name }) => expired.push(`${name} at ${clock.now()}`))
  const add = (name: string): Item => {
    const item = new Item(name)
    all.add(item, clock.now())
    return item
  }
  return { clock, expired, all, add }
}

describe('deadlines', () => {
  it('expire each in its time, in the order in which they began, by one timer', async () => {
    const { clock, expired, add } = deadlines()
    add('a')
    await clock.advance(30)
    add('b')
    add('c')
    await clock.advance(30)
    add('d')
    expect(clock.pending()).toBe(1)
    await clock.advance(39)
    expect(expired).toEqual([])
    await clock.advance(100)
    expect(expired).toEqual(['a at 100', 'b at 130', 'c at 130', 'd at 160'])
    expect(clock.pending()).toBe(0)
  })

  it('that were removed don’t expire, wherever they stood', async () => {
    for (const gone of [0, 1, 2]) {
      const { clock, expired, all, add } = deadlines()
      const items = ['a', 'b', 'c'].map(add)
      all.remove(items[gone]!)
      all.remove(items[gone]!)
      await clock.advance(200)
      expect(expired).toEqual(['a', 'b', 'c'].filter((_, i) => i !== gone).map((name) => `${name} at 100`))
    }
  })

  it('are removed only where they stand', async () => {
    const one = deadlines()
    const other = deadlines()
    const item = one.add('a')
    other.all.remove(item)
    expect(item.deadlines).toBe(one.all)
    await one.clock.advance(100)
    expect(one.expired).toEqual(['a at 100'])
    expect(item.deadlines).toBeUndefined()
  })

  it('may be removed and added while others expire', async () => {
    const clock = new ManualClock()
    const expired: string[] = []
    const [first, second, third] = [new Item('first'), new Item('second'), new Item('third')]
    const all: Deadlines<Item> = new Deadlines<Item>(clock, 100, 'shared', ({ name }) => {
      expired.push(`${name} at ${clock.now()}`)
      if (name !== 'first') return
      all.remove(second)
      all.add(first, clock.now())
    })
    for (const item of [first, second, third]) all.add(item, 0)
    await clock.advance(150)
    expect(expired).toEqual(['first at 100', 'third at 100'])
    all.remove(first)
    expect(clock.pending({ referenced: true })).toBe(0)
  })

  it('keep the process alive only while somebody awaits one', () => {
    const { clock, all, add } = deadlines()
    const referenced = (): number => clock.pending({ referenced: true })
    const item = add('a')
    expect(referenced()).toBe(1)
    all.remove(item)
    expect([clock.pending(), referenced()]).toEqual([1, 0])
    all.remove(add('b'))
    expect(referenced()).toBe(0)
    add('c')
    expect([clock.pending(), referenced()]).toEqual([1, 1])
  })

  it('never keep the process alive in the background', async () => {
    const { clock, add, expired } = deadlines(100, 'background')
    add('a')
    await clock.advance(50)
    add('b')
    expect([clock.pending(), clock.pending({ referenced: true })]).toEqual([1, 0])
    await clock.advance(60)
    expect([expired, clock.pending(), clock.pending({ referenced: true })]).toEqual([['a at 100'], 1, 0])
  })

  it('of one item end their timer with it', () => {
    const { clock, all, add } = deadlines(100, 'single')
    all.remove(add('a'))
    expect(clock.pending()).toBe(0)
  })

  it('that finish end their timer with the last item, or at once', async () => {
    const { clock, all, add, expired } = deadlines(100, 'background')
    all.remove(add('a'))
    expect(clock.pending()).toBe(1)
    all.finish()
    expect(clock.pending()).toBe(0)
    const [b, c] = [add('b'), add('c')]
    all.remove(b)
    expect(clock.pending()).toBe(1)
    all.remove(c)
    expect(clock.pending()).toBe(0)
    add('d')
    await clock.advance(100)
    expect([expired, clock.pending()]).toEqual([['d at 100'], 0])
  })

  it('that are closed forget all items, and can be used again', async () => {
    const { clock, all, add, expired } = deadlines()
    const a = add('a')
    add('b')
    all.close()
    expect([clock.pending(), a.deadlines]).toEqual([0, undefined])
    await clock.advance(200)
    expect(expired).toEqual([])
    add('c')
    await clock.advance(100)
    expect(expired).toEqual(['c at 300'])
  })

  it('are judged by a clock that is finer than the timer, up to 1 ms before their time', () => {
    const clock = new ManualClock()
    const fires: (() => void)[] = []
    clock.setTimer = (fire) => {
      fires.push(fire)
      return { ref: () => undefined, unref: () => undefined }
    }
    clock.afterPoll = (fire) => {
      fire()
    }
    const expired: string[] = []
    const all = new Deadlines<Item>(clock, 100, 'shared', ({ name }) => expired.push(name))
    all.add(new Item('a'), 0)
    clock.block(99.2)
    fires.shift()!()
    expect(expired).toEqual(['a'])
    all.add(new Item('b'), clock.now())
    clock.block(98)
    fires.shift()!()
    expect(expired).toEqual(['a'])
    expect(fires).toHaveLength(1)
  })
})

describe('after the event loop was blocked', () => {
  // The loop may be free again only just after the deadline: the answer came long before.
  it.each([1_000, 101])(
    'for %i ms an answer that is already there is read before anything is judged',
    async (blocked) => {
      const { clock, all, add, expired } = deadlines()
      const answered = add('answered')
      add('hung')
      clock.block(blocked)
      // The poll phase comes before what is set for after it.
      const afterPoll = clock.afterPoll.bind(clock)
      clock.afterPoll = (fire) => {
        all.remove(answered)
        afterPoll(fire)
      }
      await clock.advance(0)
      expect(expired).toEqual([`hung at ${blocked}`])
    },
  )

  it('those that were added or closed while it polled are judged in their own time, or never', async () => {
    for (const closed of [false, true]) {
      const { clock, all, add, expired } = deadlines()
      add('a')
      clock.block(500)
      const afterPoll = clock.afterPoll.bind(clock)
      clock.afterPoll = (fire) => {
        add('b')
        if (closed) all.close()
        afterPoll(fire)
      }
      await clock.advance(0)
      clock.afterPoll = afterPoll
      await clock.advance(100)
      expect(expired).toEqual(closed ? [] : ['a at 500', 'b at 600'])
      expect(clock.pending()).toBe(0)
    }
  })
})
