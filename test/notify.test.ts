import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Events } from '../src/core/events.js'
import {
  createRegistry,
  notify,
  type Message,
  type Mode,
  type NotifyEvents,
  type NotifyOptions,
  type NotifySource,
  type Send,
} from '../src/index.js'
import { ManualClock, settle } from '../src/testing.js'

const seed = Number(process.env['SEED'] ?? 20_260_101)
const SECOND = 1_000
const MINUTE = 60 * SECOND

/** Rings like a registry. */
class Bell implements NotifySource {
  readonly clock = new ManualClock()
  readonly events = new Events<NotifyEvents>((error) => {
    throw error
  })

  on<Name extends keyof NotifyEvents>(event: Name, listener: (payload: NotifyEvents[Name]) => unknown): () => void {
    return this.events.on(event, listener)
  }

  get listeners(): string[] {
    return (['flip', 'flapping', 'warning'] as const).filter((name) => this.events.has(name))
  }

  flip(dependency: string, mode: Mode, more: { kind?: string; reason?: string; enforced?: boolean } = {}): void {
    const { kind = 'traffic', reason = '10 calls failed in a row', enforced = true } = more
    const cause = Object.freeze({ kind, reason }) as NotifyEvents['flip']['cause']
    this.events.emit('flip', { dependency, mode, cause, at: this.clock.wall(), enforced })
  }

  down(dependency: string, more?: { kind?: string; reason?: string; enforced?: boolean }): void {
    this.flip(dependency, 'unavailable', more)
  }

  up(dependency: string, more?: { kind?: string; reason?: string; enforced?: boolean }): void {
    this.flip(dependency, 'available', { reason: 'the trial passed', ...more })
  }

  flaps(dependency: string, flips: number, within: number, suppressedFor: number): void {
    this.events.emit('flapping', { dependency, flips, within, suppressedFor, at: this.clock.wall() })
  }

  warn(dependency: string, raised: boolean, warning: NotifyEvents['warning']['warning'] = 'failures'): void {
    const text = raised ? '20 of 100 calls failed' : '1 of 100 calls failed'
    this.events.emit('warning', { dependency, warning, raised, text, at: this.clock.wall() })
  }
}

function rig(options: NotifyOptions = {}, deliver: Send = () => undefined) {
  const bell = new Bell()
  const sent: (Message & { readonly now: number })[] = []
  const alerts = notify(
    bell,
    (message, context) => {
      sent.push({ ...message, now: bell.clock.now() })
      return deliver(message, context)
    },
    options,
  )
  const kinds = (): string[] => sent.map(({ kind, dependency }) => `${kind} ${dependency ?? 'several'}`)
  return { bell, clock: bell.clock, sent, kinds, alerts }
}

describe('one outage', () => {
  it('sends one message when it begins, and one when it has been over for two minutes', async () => {
    const { bell, clock, sent, kinds } = rig()
    bell.down('feed')
    await settle()
    const began = clock.wall()
    expect(sent).toMatchObject([
      {
        kind: 'unavailable',
        dependency: 'feed',
        at: began,
        since: began,
        flips: 1,
        cause: { kind: 'traffic', reason: '10 calls failed in a row' },
        text: 'feed is unavailable: 10 calls failed in a row',
      },
    ])
    await clock.advance(40 * SECOND)
    bell.up('feed')
    await clock.advance(2 * MINUTE - 1)
    expect(sent).toHaveLength(1)
    await clock.advance(1)
    expect(kinds()).toEqual(['unavailable feed', 'available feed'])
    expect(sent[1]).toMatchObject({ since: began, at: began + 160 * SECOND, flips: 1 })
    expect(sent[1]!.text).toBe(
      'feed is available again, for 2 min now; it was unavailable for 40 s: 10 calls failed in a row',
    )
    await clock.advance(60 * MINUTE)
    expect(sent).toHaveLength(2)
  })

  it('is the same outage while it comes back for less than two minutes', async () => {
    const { bell, clock, sent } = rig()
    for (let i = 0; i < 20; i++) {
      bell.down('feed')
      await clock.advance(10 * SECOND)
      bell.up('feed')
      await clock.advance(110 * SECOND)
    }
    expect(sent).toHaveLength(1)
    await clock.advance(10 * SECOND)
    expect(sent).toHaveLength(2)
    expect(sent[1]).toMatchObject({ kind: 'available', flips: 20 })
    expect(sent[1]!.text).toContain('20 times within 38 min')
  })

  it('sends frozen plain data that survives JSON', async () => {
    const messages: Message[] = []
    const { bell, clock } = rig({ perMinute: 2 }, (message) => messages.push(message))
    for (const name of ['a', 'b', 'c']) bell.down(name)
    await clock.advance(10 * SECOND)
    expect(messages).toHaveLength(2)
    for (const message of [...messages, ...messages[1]!.messages!]) {
      expect(Object.isFrozen(message)).toBe(true)
      expect(JSON.parse(JSON.stringify(message))).toEqual(message)
    }
    expect(Object.isFrozen(messages[1]!.messages)).toBe(true)
    expect(Object.isFrozen(messages[0]!.cause)).toBe(true)
  })

  it('tells durations by the monotonic clock when wall time steps', async () => {
    const { bell, clock, sent } = rig()
    bell.down('feed')
    await clock.advance(30 * SECOND)
    bell.up('feed')
    clock.stepWall(-60 * MINUTE)
    await clock.advance(2 * MINUTE)
    expect(sent[1]!.text).toContain('unavailable for 30 s')
  })

  it('says nothing of a dependency that becomes available without having been down', async () => {
    const { bell, clock, sent } = rig()
    bell.up('feed')
    await clock.advance(10 * MINUTE)
    expect(sent).toEqual([])
  })
})

describe('at most one message a dependency in five minutes', () => {
  it('tells a second outage that goes on when the cap allows', async () => {
    const { bell, clock, sent, kinds } = rig()
    bell.down('feed')
    bell.up('feed')
    await clock.advance(2 * MINUTE)
    expect(kinds()).toEqual(['unavailable feed', 'available feed'])
    bell.down('feed', { reason: 'again' })
    const since = clock.wall()
    await clock.advance(3 * MINUTE - 1)
    expect(sent).toHaveLength(2)
    await clock.advance(1)
    expect(sent[2]).toMatchObject({ kind: 'unavailable', since, now: 5 * MINUTE })
    expect(sent[2]!.text).toBe('feed has been unavailable for 3 min: again')
  })

  it('sums up outages that were over before they could be told', async () => {
    const { bell, clock, sent, kinds } = rig({ stableFor: 10 * SECOND })
    bell.down('feed')
    bell.up('feed')
    await clock.advance(MINUTE)
    for (let i = 0; i < 3; i++) {
      bell.down('feed')
      await clock.advance(10 * SECOND)
      bell.up('feed')
      await clock.advance(20 * SECOND)
    }
    await clock.advance(10 * MINUTE)
    expect(kinds()).toEqual(['unavailable feed', 'available feed', 'summary feed'])
    expect(sent[2]).toMatchObject({ now: 5 * MINUTE, flips: 3 })
    expect(sent[2]!.text).toBe(
      'feed was unavailable 3 times within 70 s: 10 calls failed in a row; it has been available again for 3 min',
    )
  })

  it('waits with such a summary until it is stable, and tells the outage at once if it comes back', async () => {
    const { bell, clock, sent } = rig()
    bell.down('feed')
    bell.up('feed')
    await clock.advance(2 * MINUTE)
    bell.down('feed')
    await clock.advance(2.5 * MINUTE)
    bell.up('feed')
    await clock.advance(MINUTE)
    expect(sent).toHaveLength(2)
    bell.down('feed')
    await settle()
    expect(sent[2]).toMatchObject({ kind: 'unavailable', flips: 2, now: 5.5 * MINUTE })
    expect(sent[2]!.text).toContain('2 times within 4 min')
  })

  it('does not hold back the end of an outage', async () => {
    const { bell, clock, kinds } = rig({ stableFor: 0 })
    bell.down('feed')
    await settle()
    bell.up('feed')
    await settle()
    expect(kinds()).toEqual(['unavailable feed', 'available feed'])
    expect(clock.now()).toBe(0)
  })

  it('holds for each dependency by itself', async () => {
    const { bell, kinds } = rig()
    bell.down('feed')
    bell.down('search')
    await settle()
    expect(kinds()).toEqual(['unavailable feed', 'unavailable search'])
  })
})

describe('flapping', () => {
  it('is one message, after the one that told of the outage, with how long it is held back', async () => {
    const { bell, clock, sent, kinds } = rig()
    for (let i = 0; i < 4; i++) {
      bell.down('feed')
      if (i < 3) {
        await clock.advance(5 * SECOND)
        bell.up('feed')
        await clock.advance(5 * SECOND)
      }
    }
    bell.flaps('feed', 4, 30 * SECOND, 280 * SECOND)
    await clock.advance(4.5 * MINUTE)
    expect(kinds()).toEqual(['unavailable feed', 'flapping feed'])
    expect(sent[1]).toMatchObject({ flips: 4, within: 30 * SECOND, suppressedFor: 10 * SECOND, now: 5 * MINUTE })
    expect(sent[1]!.text).toBe(
      'feed flaps: it became unavailable 4 times within 30 s, and is held back for another 10 s: 10 calls failed in a row',
    )
  })

  it('takes the place of an opening that had to wait', async () => {
    const { bell, clock, kinds } = rig({ stableFor: SECOND })
    bell.down('feed')
    bell.up('feed')
    await clock.advance(MINUTE)
    bell.down('feed')
    bell.flaps('feed', 4, 30 * SECOND, 200 * SECOND)
    await clock.advance(10 * MINUTE)
    expect(kinds()).toEqual(['unavailable feed', 'available feed', 'flapping feed'])
    bell.up('feed')
    await clock.advance(MINUTE)
    expect(kinds().at(-1)).toBe('available feed')
  })

  it('is told once however long it goes on, and its end is', async () => {
    const { bell, clock, kinds } = rig()
    for (let i = 0; i < 400; i++) {
      bell.down('feed')
      if (i % 8 === 3) bell.flaps('feed', i, i * 30 * SECOND, 200 * SECOND)
      await clock.advance(20 * SECOND)
      bell.up('feed')
      await clock.advance(10 * SECOND)
    }
    await clock.advance(10 * MINUTE)
    expect(kinds()).toEqual(['unavailable feed', 'flapping feed', 'available feed'])
  })

  it('of a dependency whose flips alert nobody alerts nobody', async () => {
    const { bell, clock, sent } = rig()
    bell.down('feed', { enforced: false })
    bell.flaps('feed', 4, 30 * SECOND, 200 * SECOND)
    await clock.advance(10 * MINUTE)
    expect(sent).toEqual([])
  })
})

describe('an operator’s own actions', () => {
  it.each(['operator', 'drain', 'disabled', 'closed'])('alert nobody: %s', async (kind) => {
    const { bell, clock, sent, alerts } = rig()
    bell.down('feed', { kind })
    await clock.advance(10 * MINUTE)
    bell.up('feed', { kind })
    await clock.advance(10 * MINUTE)
    expect(sent).toEqual([])
    expect(alerts.counts.pending).toBe(0)
  })

  it('alert with `operators: true`', async () => {
    const { bell, kinds } = rig({ operators: true })
    bell.down('feed', { kind: 'operator', reason: 'schema upgrade' })
    await settle()
    expect(kinds()).toEqual(['unavailable feed'])
  })

  it('end an outage that people were told of, once it is stable', async () => {
    const { bell, clock, kinds } = rig()
    bell.down('feed')
    bell.up('feed', { kind: 'operator' })
    await clock.advance(2 * MINUTE)
    expect(kinds()).toEqual(['unavailable feed', 'available feed'])
  })

  it('keep an outage open that people were told of', async () => {
    const { bell, clock, sent } = rig()
    bell.down('feed')
    bell.up('feed')
    bell.down('feed', { kind: 'operator' })
    await clock.advance(10 * MINUTE)
    expect(sent).toHaveLength(1)
    bell.up('feed', { kind: 'operator' })
    await clock.advance(2 * MINUTE)
    expect(sent[1]).toMatchObject({ kind: 'available', flips: 1 })
  })
})

describe('a dependency that is only watched', () => {
  it('alerts nobody', async () => {
    const { bell, clock, sent } = rig()
    bell.down('feed', { enforced: false })
    bell.up('feed', { enforced: false })
    await clock.advance(10 * MINUTE)
    expect(sent).toEqual([])
  })

  it('alerts with `observed: true`, and says so', async () => {
    const { bell, clock, sent } = rig({ observed: true })
    bell.down('feed', { enforced: false })
    await settle()
    expect(sent[0]).toMatchObject({ kind: 'unavailable', observed: true })
    expect(sent[0]!.text).toMatch(/^feed \(only watched\) is unavailable/)
    // What is enforced is another outage, under the same cap.
    bell.down('feed')
    bell.up('feed', { enforced: false })
    await clock.advance(10 * MINUTE)
    expect(sent.map(({ kind, observed, now }) => [kind, observed, now])).toEqual([
      ['unavailable', true, 0],
      ['available', true, 2 * MINUTE],
      ['unavailable', undefined, 5 * MINUTE],
    ])
  })
})

describe('warnings', () => {
  it('are told when raised, and when cleared as the cap allows', async () => {
    const { bell, clock, sent } = rig()
    bell.warn('feed', true)
    await clock.advance(MINUTE)
    bell.warn('feed', false)
    await clock.advance(10 * MINUTE)
    expect(sent).toMatchObject([
      {
        kind: 'warning',
        warning: 'failures',
        raised: true,
        now: 0,
        text: 'feed: warning: 20 of 100 calls failed',
      },
      { kind: 'warning', raised: false, now: 5 * MINUTE, text: 'feed: warning cleared: 1 of 100 calls failed' },
    ])
  })

  it('do not hold back the outage that they warned of', async () => {
    const { bell, clock, kinds } = rig()
    bell.warn('feed', true)
    await clock.advance(SECOND)
    bell.down('feed')
    await clock.advance(SECOND)
    expect(kinds()).toEqual(['warning feed', 'unavailable feed'])
  })

  it('wait after an outage was told, and several of one dependency then go together', async () => {
    const { bell, clock, sent } = rig()
    bell.down('feed')
    bell.warn('feed', true)
    bell.warn('feed', true, 'probe')
    await clock.advance(5 * MINUTE)
    expect(sent).toHaveLength(2)
    expect(sent[1]).toMatchObject({
      kind: 'summary',
      now: 5 * MINUTE,
      messages: [{ warning: 'failures' }, { warning: 'probe' }],
    })
    expect(sent[1]!.text).toBe('2 messages in one. warnings: feed (failures), feed (probe)')
  })

  it('that come and go while they wait are no news', async () => {
    const { bell, clock, sent, alerts } = rig()
    bell.warn('feed', true)
    for (let i = 0; i < 10; i++) {
      await clock.advance(SECOND)
      bell.warn('feed', i % 2 === 1)
    }
    await clock.advance(10 * MINUTE)
    expect(sent).toHaveLength(1)
    expect(alerts.counts.pending).toBe(0)
    expect(clock.pending()).toBe(0)
  })

  it('cleared without having been raised are no news', async () => {
    const { bell, sent } = rig()
    bell.warn('feed', false)
    await settle()
    expect(sent).toEqual([])
  })

  it('can be left out', async () => {
    const { bell, sent } = rig({ warnings: false })
    bell.warn('feed', true)
    await settle()
    expect(sent).toEqual([])
    expect(bell.listeners).toEqual(['flip', 'flapping'])
  })
})

describe('the cap over all dependencies', () => {
  const names = Array.from({ length: 1_000 }, (_, i) => `d${i}`)

  it('turns one network failure with 1,000 dependencies into 20 messages, and its end too', async () => {
    const { bell, clock, sent, alerts } = rig()
    for (const name of names) bell.down(name)
    await clock.advance(10 * MINUTE)
    expect(sent).toHaveLength(20)
    expect(sent[19]).toMatchObject({ kind: 'summary', now: 5 * SECOND })
    expect(sent[19]!.messages).toHaveLength(981)
    expect(sent[19]!.text).toBe('981 messages in one. unavailable: d19, d20, d21, d22, d23 and 976 more')
    expect(alerts.counts).toEqual({ sent: 20, summaries: 1, failed: 0, pending: 0 })
    expect(clock.pending()).toBe(0)
    for (const name of names) bell.up(name)
    await clock.advance(10 * MINUTE)
    expect(sent).toHaveLength(40)
    expect(sent[39]!.messages).toHaveLength(981)
    expect(sent[39]!.text).toContain('available again: d19')
    expect(clock.pending()).toBe(0)
  })

  it('makes late-comers wait for the next minute, and sends them in one', async () => {
    const { bell, clock, sent } = rig({ perMinute: 3 })
    for (const name of names.slice(0, 5)) bell.down(name)
    await clock.advance(6 * SECOND)
    for (const name of names.slice(5, 9)) bell.down(name)
    await clock.advance(MINUTE)
    expect(sent.map(({ now, messages }) => [now, messages?.length ?? 1])).toEqual([
      [0, 1],
      [0, 1],
      [5 * SECOND, 3],
      [MINUTE, 4],
    ])
  })

  it('tells what has waited as it is by then', async () => {
    const { bell, clock, sent } = rig({ perMinute: 1, stableFor: SECOND })
    bell.down('gone')
    bell.down('stays')
    await clock.advance(2 * SECOND)
    bell.up('gone')
    await clock.advance(3 * SECOND)
    expect(sent).toHaveLength(1)
    expect(sent[0]!.messages).toMatchObject([
      { kind: 'unavailable', dependency: 'stays' },
      { kind: 'summary', dependency: 'gone' },
    ])
    expect(sent[0]!.text).toBe('2 messages in one. unavailable: stays; unavailable for a time: gone')
  })

  it('lets none go alone while others wait to go together', async () => {
    const { bell, clock, sent } = rig({ perMinute: 2 })
    bell.down('a')
    await clock.advance(58 * SECOND)
    bell.down('b')
    await clock.advance(3 * SECOND)
    bell.down('c')
    await clock.advance(10 * SECOND)
    expect(sent.map(({ now, dependency, messages }) => [now, dependency ?? messages!.length])).toEqual([
      [0, 'a'],
      [63 * SECOND, 2],
    ])
  })

  it('is as if nothing had waited when what waited is no news any more', async () => {
    const { bell, clock, kinds } = rig({ perMinute: 2 })
    bell.down('a')
    await settle()
    bell.warn('b', true)
    bell.warn('b', false)
    expect(clock.pending()).toBe(0)
    await clock.advance(MINUTE)
    bell.down('c')
    await settle()
    expect(kinds()).toEqual(['unavailable a', 'unavailable c'])
  })

  it('sends a single one that had to wait as itself', async () => {
    const { bell, clock, kinds } = rig({ perMinute: 1 })
    bell.down('feed')
    await clock.advance(5 * SECOND)
    expect(kinds()).toEqual(['unavailable feed'])
  })
})

describe('a `send` that fails', () => {
  it('is reported, harmless, and counted', async () => {
    const failures: unknown[] = []
    const { bell, clock, alerts } = rig(
      {
        onError: (error, message) => {
          failures.push([(error as Error).message, message.kind])
          throw new Error('and so does this')
        },
      },
      ({ dependency }) => {
        if (dependency === 'a') throw new Error('threw')
        if (dependency === 'b') return Promise.reject(new Error('rejected'))
        return new Promise(() => undefined)
      },
    )
    bell.down('a')
    bell.down('b')
    bell.down('c')
    await clock.advance(10 * SECOND)
    expect(failures).toEqual([
      ['threw', 'unavailable'],
      ['rejected', 'unavailable'],
      ['send took longer than its timeout, 10000 ms', 'unavailable'],
    ])
    expect(alerts.counts).toMatchObject({ sent: 0, failed: 3 })
  })

  it('has its signal aborted when its time is over', async () => {
    let signal: AbortSignal | undefined
    const { bell, clock } = rig({ timeout: 500 }, (_message, context) => {
      signal = context.signal
      return new Promise(() => undefined)
    })
    bell.down('feed')
    await clock.advance(499)
    expect(signal!.aborted).toBe(false)
    await clock.advance(1)
    expect(signal!.reason).toMatchObject({ code: 'ERR_CALL_TIMEOUT' })
  })

  it('leaves what it had to say untold: the next message takes it along, once', async () => {
    let broken = true
    const { bell, clock, sent } = rig({}, () => (broken ? Promise.reject(new Error('down')) : undefined))
    bell.down('a')
    await clock.advance(MINUTE)
    bell.down('b')
    await clock.advance(MINUTE)
    broken = false
    bell.down('c')
    await clock.advance(MINUTE)
    // `a` has had its second chance with `b`, and now waits.
    expect(sent.map(({ dependency, messages }) => dependency ?? messages!.map((m) => m.dependency).join())).toEqual([
      'a',
      'b,a',
      'c,b',
    ])
    await clock.advance(2 * MINUTE)
    expect(sent).toHaveLength(3)
    await clock.advance(2 * MINUTE)
    expect(sent[3]).toMatchObject({ kind: 'unavailable', dependency: 'a', now: 6 * MINUTE, flips: 1 })
  })

  it('makes no storm: one message in five minutes, about all that failed', async () => {
    const { bell, clock, sent } = rig({}, () => Promise.reject(new Error('down')))
    for (let i = 0; i < 100; i++) bell.down(`d${i}`)
    await clock.advance(10 * SECOND)
    expect(sent).toHaveLength(20)
    await clock.advance(60 * MINUTE)
    expect(sent.length).toBeLessThanOrEqual(20 + 13)
    expect(sent.at(-1)!.messages).toHaveLength(100)
  })

  it('waits a minute at least, even without a cap', async () => {
    const { bell, clock, sent } = rig({ atMostEvery: 0 }, () => Promise.reject(new Error('down')))
    bell.down('feed')
    await clock.advance(10 * MINUTE)
    expect(sent).toHaveLength(11)
  })

  it('has the end told later, or the outage goes on for people if it comes back before', async () => {
    let broken = false
    const { bell, clock, sent } = rig({}, () => (broken ? Promise.reject(new Error('down')) : undefined))
    bell.down('feed')
    await settle()
    broken = true
    bell.up('feed')
    await clock.advance(2 * MINUTE)
    expect(sent.map(({ kind }) => kind)).toEqual(['unavailable', 'available'])
    bell.down('feed')
    broken = false
    await clock.advance(20 * MINUTE)
    expect(sent).toHaveLength(2)
    bell.up('feed')
    await clock.advance(2 * MINUTE)
    expect(sent[2]).toMatchObject({ kind: 'available', flips: 2 })
  })

  it('that fails to tell the end while a new outage begins leaves people in the one they know', async () => {
    let reject!: (error: Error) => void
    const { bell, clock, sent } = rig({}, ({ kind }) =>
      kind === 'available' && sent.length === 2 ? new Promise((_, no) => (reject = no)) : undefined,
    )
    bell.down('feed')
    bell.up('feed')
    await clock.advance(2 * MINUTE)
    bell.down('feed')
    reject(new Error('down'))
    await clock.advance(20 * MINUTE)
    expect(sent.map(({ kind }) => kind)).toEqual(['unavailable', 'available'])
    bell.up('feed')
    await clock.advance(2 * MINUTE)
    expect(sent[2]).toMatchObject({ kind: 'available', flips: 2 })
  })

  it('keeps a warning untold, too', async () => {
    let broken = true
    const { bell, clock, sent } = rig({}, () => (broken ? Promise.reject(new Error('down')) : undefined))
    bell.warn('feed', true)
    await settle()
    broken = false
    await clock.advance(5 * MINUTE)
    expect(sent).toMatchObject([{ raised: true }, { raised: true, now: 5 * MINUTE }])
    await clock.advance(60 * MINUTE)
    expect(sent).toHaveLength(2)
  })
})

it('tells of flapping again when that failed, and takes failed warnings along', async () => {
  let broken = false
  const { bell, clock, sent } = rig({}, () => (broken ? Promise.reject(new Error('down')) : undefined))
  bell.down('feed')
  bell.flaps('feed', 4, 30 * SECOND, 200 * SECOND)
  await clock.advance(5 * MINUTE - 1)
  broken = true
  bell.warn('search', true)
  await clock.advance(1)
  // The warning went along, and failed again.
  expect(sent[2]!.text).toBe('2 messages in one. flapping: feed; warnings: search (failures)')
  broken = false
  bell.warn('billing', true)
  await settle()
  expect(sent[3]!.text).toBe('2 messages in one. flapping: feed; warnings: billing (failures)')
  await clock.advance(20 * MINUTE)
  expect(sent.slice(4)).toMatchObject([{ kind: 'warning', dependency: 'search', raised: true }])
})

it('takes a failed warning along with the next message', async () => {
  let broken = true
  const { bell, sent } = rig({}, () => (broken ? Promise.reject(new Error('down')) : undefined))
  bell.warn('search', true)
  await settle()
  broken = false
  bell.down('feed')
  await settle()
  expect(sent[1]!.text).toBe('2 messages in one. unavailable: feed; warnings: search (failures)')
})

describe('while a message is on its way', () => {
  it('the next of that dependency waits for what comes of it', async () => {
    const ends: (() => void)[] = []
    const { bell, kinds } = rig({ stableFor: 0 }, () => new Promise<void>((end) => ends.push(end)))
    bell.down('feed')
    bell.up('feed')
    await settle()
    expect(kinds()).toEqual(['unavailable feed'])
    ends[0]!()
    await settle()
    expect(kinds()).toEqual(['unavailable feed', 'available feed'])
  })

  it('who flipped does not wait for a slow `send`', () => {
    const { bell, sent } = rig()
    bell.down('feed')
    expect(sent).toEqual([])
  })
})

describe('stop', () => {
  it('leaves no listener and no timer, aborts what is being sent, and can be repeated', async () => {
    const errors: unknown[] = []
    let signal: AbortSignal | undefined
    const { bell, clock, sent, alerts } = rig({ onError: (error) => errors.push(error) }, (_message, context) => {
      signal = context.signal
      return new Promise(() => undefined)
    })
    bell.down('feed')
    await settle()
    bell.down('search')
    bell.warn('feed', true)
    alerts.stop()
    alerts.stop()
    await settle()
    expect(signal!.reason).toMatchObject({ code: 'ERR_CLOSED' })
    expect(bell.listeners).toEqual([])
    expect(clock.pending()).toBe(0)
    bell.down('third')
    await clock.advance(60 * MINUTE)
    expect(sent).toHaveLength(1)
    expect(errors).toEqual([])
    expect(alerts.counts).toEqual({ sent: 0, summaries: 0, failed: 0, pending: 0 })
  })

  it('is not needed for the process to end: no timer keeps it alive', async () => {
    const { bell, clock } = rig({}, () => new Promise(() => undefined))
    bell.down('feed')
    await settle()
    expect(clock.pending()).toBe(1)
    bell.warn('search', true)
    bell.warn('search', false)
    await clock.advance(SECOND)
    expect(clock.pending()).toBeGreaterThan(0)
    expect(clock.pending({ referenced: true })).toBe(0)
  })
})

it('has no timer while nothing is pending', async () => {
  const { bell, clock } = rig()
  expect(clock.pending()).toBe(0)
  bell.down('feed')
  await settle()
  expect(clock.pending()).toBe(0)
  bell.up('feed')
  expect(clock.pending()).toBe(1)
  await clock.advance(2 * MINUTE)
  expect(clock.pending()).toBe(0)
})

describe('options', () => {
  it.each([
    [{ stableFor: -1 }, 'notify.stableFor'],
    [{ atMostEvery: NaN }, 'notify.atMostEvery'],
    [{ perMinute: 0 }, 'notify.perMinute'],
    [{ timeout: 0 }, 'notify.timeout'],
    [{ operators: 1 }, 'notify.operators'],
    [{ onError: true }, 'notify.onError'],
    [{ every: 1 }, 'notify.every'],
  ])('refuses %o, naming %s', (options, path) => {
    const bell = new Bell()
    const make = (): unknown => notify(bell, () => undefined, options as NotifyOptions)
    expect(make).toThrow(expect.objectContaining({ code: 'ERR_OPTION', path }) as Error)
    expect(bell.listeners).toEqual([])
  })

  it.each([undefined, null, {}, 'registry'])('refuses %o in place of a registry', (registry) => {
    const make = (): unknown => notify(registry as never, () => undefined)
    expect(make).toThrow(expect.objectContaining({ code: 'ERR_OPTION', path: 'notify.registry' }) as Error)
  })

  it('refuses a `send` that is no function', () => {
    const make = (): unknown => notify(new Bell(), undefined as unknown as Send)
    expect(make).toThrow(expect.objectContaining({ code: 'ERR_OPTION', path: 'notify.send' }) as Error)
  })
})

it('takes a registry', async () => {
  const clock = new ManualClock()
  const registry = createRegistry({ clock })
  const feed = registry.dependency('feed', { circuit: { consecutiveFailures: 2 } })
  const kinds: string[] = []
  const alerts = notify(registry, ({ kind }) => kinds.push(kind))
  const broken = (): Promise<never> => Promise.reject(new Error('refused'))
  for (let i = 0; i < 2; i++) await feed.run(broken).catch(() => undefined)
  await settle()
  expect(kinds).toEqual(['unavailable'])
  await clock.advance(5 * SECOND)
  await feed.run(() => Promise.resolve(1))
  await clock.advance(2 * MINUTE)
  expect(kinds).toEqual(['unavailable', 'available'])
  alerts.stop()
})

type Step =
  | { do: 'flip'; dependency: number; observed: boolean; own: boolean }
  | { do: 'flapping'; dependency: number }
  | { do: 'warn'; dependency: number; raised: boolean }
  | { do: 'wait'; seconds: number }
  | { do: 'send'; how: 'works' | 'throws' | 'rejects' | 'hangs' }

const dependency = fc.integer({ min: 0, max: 5 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('flip' as const),
      dependency,
      observed: fc.boolean(),
      own: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('flapping' as const), dependency }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('warn' as const), dependency, raised: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: fc.integer({ min: 0, max: 200 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      how: fc.constantFrom('works' as const, 'throws' as const, 'rejects' as const, 'hangs' as const),
    }),
  },
)

const UNAVAILABLE = ['unavailable', 'flapping']

it('keeps the caps, and in the end people believe what is true, whatever happens', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 120, size: 'max' }),
      fc.record({
        perMinute: fc.integer({ min: 1, max: 5 }),
        stableFor: fc.constantFrom(0, 30 * SECOND, 2 * MINUTE, 10 * MINUTE),
        atMostEvery: fc.constantFrom(0, MINUTE, 5 * MINUTE),
      }),
      async (steps, options) => {
        const bell = new Bell()
        const { clock } = bell
        const tries: number[] = []
        const delivered: { now: number; message: Message }[] = []
        const began = new Map<string, number>()
        let how: 'works' | 'throws' | 'rejects' | 'hangs' = 'works'
        const send: Send = (message, { signal }) => {
          const now = clock.now()
          tries.push(now)
          if (how === 'throws') throw new Error('threw')
          if (how === 'rejects') return Promise.reject(new Error('rejected'))
          if (how === 'hangs')
            return new Promise((_, reject) => {
              signal.addEventListener('abort', () => reject(new Error('aborted')))
            })
          for (const one of message.messages ?? [message]) delivered.push({ now, message: one })
          return undefined
        }
        const alerts = notify(bell, send, { ...options, observed: true })
        // What is so, by dependency and whether it is enforced: since when it has been down, and whether that is news.
        const down = new Map<string, { at: number; own: boolean }>()
        const raised = new Set<string>()
        for (const taken of steps) {
          if (taken.do === 'wait') await clock.advance(taken.seconds * SECOND)
          else if (taken.do === 'send') how = taken.how
          else if (taken.do === 'flapping') bell.flaps(`d${taken.dependency}`, 4, 30 * SECOND, 200 * SECOND)
          else if (taken.do === 'warn') {
            const name = `d${taken.dependency}`
            if (taken.raised) raised.add(name)
            else raised.delete(name)
            bell.warn(name, taken.raised)
          } else {
            const name = `d${taken.dependency}`
            const key = `${name} ${taken.observed}`
            const more = { enforced: !taken.observed, ...(taken.own ? { kind: 'operator' } : {}) }
            if (down.delete(key)) bell.up(name, more)
            else {
              down.set(key, { at: clock.now(), own: taken.own })
              if (!taken.own) began.set(key, clock.now())
              bell.down(name, more)
            }
          }
        }
        how = 'works'
        await clock.advance(40 * MINUTE)

        for (let i = options.perMinute; i < tries.length; i++)
          expect(tries[i]! - tries[i - options.perMinute]!).toBeGreaterThanOrEqual(MINUTE)

        for (let d = 0; d < 6; d++) {
          const about = delivered.filter(({ message }) => message.dependency === `d${d}`)
          const warnings = about.filter(({ message }) => message.kind === 'warning')
          const counting = about.filter(({ message }) => [...UNAVAILABLE, 'summary'].includes(message.kind))
          for (let i = 1; i < counting.length; i++)
            expect(counting[i]!.now - counting[i - 1]!.now).toBeGreaterThanOrEqual(options.atMostEvery)
          for (let i = 1; i < warnings.length; i++)
            expect(warnings[i]!.now - warnings[i - 1]!.now).toBeGreaterThanOrEqual(options.atMostEvery)
          expect(warnings.at(-1)?.message.raised ?? false).toBe(raised.has(`d${d}`))
          for (const observed of [false, true]) {
            const key = `d${d} ${observed}`
            const outages = about.filter(
              ({ message }) => message.kind !== 'warning' && (message.observed ?? false) === observed,
            )
            // Every end belongs to a beginning, and nothing is told twice.
            let believed = false
            for (const { message } of outages) {
              const { kind } = message
              if (kind === 'unavailable' || kind === 'summary') expect(believed).toBe(false)
              if (kind === 'available') expect(believed).toBe(true)
              believed = UNAVAILABLE.includes(kind)
            }
            const really = down.get(key)
            if (really === undefined) expect(believed).toBe(false)
            else if (!really.own) expect(believed).toBe(true)
            // The beginning of an outage is never lost: whatever was news has been told since.
            const last = began.get(key)
            if (last !== undefined && !believed) expect(outages.at(-1)!.now).toBeGreaterThanOrEqual(last)
          }
        }
        // Nothing is left to be told, so no timer is.
        expect(alerts.counts.pending).toBe(0)
        expect(clock.pending()).toBe(0)

        how = 'hangs'
        bell.down('another')
        bell.warn('d0', !raised.has('d0'))
        await settle()
        alerts.stop()
        await settle()
        expect(clock.pending()).toBe(0)
        expect(bell.listeners).toEqual([])
      },
    ),
    { seed, numRuns: 200 },
  )
}, 120_000)
