import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { getEventListeners } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { ambient } from '../src/core/ambient.js'
import {
  createRegistry,
  keepTrying,
  type CallContext,
  type Dependency,
  type DependencyOptions,
  type KeepTryingOptions,
  type Registry,
  type RegistryEvents,
  type Trying,
} from '../src/index.js'
import { paceOf } from '../src/keep-trying/pace.js'
import { ManualClock, settle } from '../src/testing.js'
import { watch, type Watched } from './support/calls.js'
import { gate, type Gate } from './support/gate.js'
import { turns } from './support/turns.js'
import { until } from './support/web/until.js'

const down = Object.assign(new Error('down'), { code: 'ECONNREFUSED' })

interface Connecting {
  clock: ManualClock
  registry: Registry
  dependency: Dependency
  /** Attempts so far, oldest first. */
  attempts: (Gate<string> & { context: CallContext; at: number })[]
  last: () => Gate<string> & { context: CallContext; at: number }
  connect: (options?: Partial<KeepTryingOptions<string>>) => Trying<string>
  events: RegistryEvents['connection'][]
  reported: unknown[]
}

function connecting(of: DependencyOptions = {}, clock = new ManualClock()): Connecting {
  const registry = createRegistry({ clock })
  const dependency = registry.dependency('redis', of)
  const attempts: Connecting['attempts'] = []
  const events: RegistryEvents['connection'][] = []
  const reported: unknown[] = []
  registry.on('connection', (event) => events.push(event))
  registry.on('error', ({ error }) => reported.push(error))
  const attempt = (context: CallContext): Promise<string> => {
    const made = { ...gate<string>(), context, at: clock.now() }
    attempts.push(made)
    return made.promise
  }
  return {
    clock,
    registry,
    dependency,
    attempts,
    last: () => attempts.at(-1)!,
    connect: (options = {}) => keepTrying(attempt, { dependency, ...options }),
    events,
    reported,
  }
}

const calm: DependencyOptions = { circuit: { consecutiveFailures: false } }

const listening = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

/** Fails whatever is begun in so many ms. */
async function failing({ clock, attempts }: Connecting, ms: number): Promise<number[]> {
  const until = clock.now() + ms
  for (;;) {
    await settle()
    for (const { fail } of attempts) fail(down)
    await settle()
    if (clock.now() >= until) return attempts.map(({ at }) => at)
    await clock.advance(1)
  }
}

describe('trying', () => {
  it('connects at once when nothing was tried before, and says so', async () => {
    const { connect, last, events, clock } = connecting()
    const trying = connect()
    await settle()
    expect(trying.state).toEqual({ phase: 'trying', attempts: 1 })
    last().open('connection')
    expect(await trying).toBe('connection')
    expect(trying.state).toEqual({ phase: 'connected', attempts: 1 })
    expect(events).toEqual([{ dependency: 'redis', phase: 'connected', attempts: 1, at: clock.wall() }])
  })

  it('goes on until it has, each wait twice as long, between half of it and all', async () => {
    const connection = connecting(calm)
    const result = watch(connection.connect())
    expect(await failing(connection, 1_200)).toEqual([0, 75, 225, 525, 1_125])
    await connection.clock.advance(1_200)
    connection.last().open('connection')
    await settle()
    expect(result.value).toBe('connection')
  })

  it('never waits longer than its limit, nor less than half of that then', async () => {
    const connection = connecting(calm, new ManualClock({ random: () => 0 }))
    watch(connection.connect({ backoff: { base: 100, atMost: 400 } }))
    expect(await failing(connection, 1_000)).toEqual([0, 50, 150, 350, 550, 750, 950])
  })

  it('tells of each failure, with the next attempt and the code of the last', async () => {
    const connection = connecting(calm)
    const trying = connection.connect()
    await failing(connection, 0)
    expect(trying.state).toEqual({ phase: 'waiting', attempts: 1, next: 75, code: 'ECONNREFUSED' })
    expect(connection.events).toMatchObject([{ phase: 'waiting', attempts: 1, next: 75, code: 'ECONNREFUSED' }])
  })

  it('bounds each attempt, aborts it, and hands back a connection that comes too late', async () => {
    const late: string[] = []
    const { connect, attempts, clock, dependency } = connecting({ ...calm, timeout: 300 })
    watch(connect({ timeout: 100, discard: (connection) => late.push(connection) }))
    await settle()
    const { signal } = attempts[0]!.context
    await clock.advance(99)
    expect(signal.aborted).toBe(false)
    await clock.advance(1)
    expect([signal.aborted, attempts.length]).toEqual([true, 2])
    attempts[0]!.open('late')
    await settle()
    expect(late).toEqual(['late'])
    expect(dependency.health().counts).toMatchObject({ timeouts: 1, lates: 1 })
  })

  it('is once for each turn, also where calls of the dependency are retried', async () => {
    const connection = connecting({ ...calm, retry: { retries: 3, budget: { perSecond: 100 } } })
    watch(connection.connect())
    expect(await failing(connection, 1_200)).toEqual([0, 75, 225, 525, 1_125])
  })

  it('is nobody’s request, whoever asks for it', async () => {
    const registry = createRegistry()
    const seen: unknown[] = []
    const around = { deadline: 1 } as never
    const run = vi.spyOn(ambient, 'run').mockImplementation((of, work) => {
      seen.push(of)
      return work()
    })
    vi.spyOn(ambient, 'read').mockReturnValue(around)
    onTestFinished(() => void vi.restoreAllMocks())
    const trying = keepTrying(() => 'connection', { dependency: registry.dependency('redis') })
    expect([run.mock.calls.length, seen[0]]).toEqual([1, undefined])
    vi.restoreAllMocks()
    await trying
    await registry.close()
  })

  it('leaves nobody listening once it has, nor once it has ended', async () => {
    for (const end of ['open', 'fail'] as const) {
      const { connect, last, dependency, clock } = connecting()
      let followed = 0
      const follow = dependency.follow.bind(dependency)
      vi.spyOn(dependency, 'follow').mockImplementation((listener) => {
        followed++
        const leave = follow(listener)
        return () => {
          followed--
          leave()
        }
      })
      const { signal } = new AbortController()
      watch(connect({ signal, when: () => false }))
      await settle()
      expect([followed, paceOf(clock, 'redis').waiting.size, listening(signal)]).toEqual([1, 1, 1])
      last()[end](down as never)
      await settle()
      expect([followed, paceOf(clock, 'redis').waiting.size, listening(signal)]).toEqual([0, 0, 0])
    }
  })

  it('ends with an error that no other attempt would change', async () => {
    const { connect, last, clock, events } = connecting()
    const result = watch(connect({ when: (error) => error !== down }))
    await settle()
    last().fail(down)
    await settle()
    expect(result.error).toBe(down)
    expect([clock.pending({ referenced: true }), events.at(-1)?.phase]).toEqual([0, 'ended'])
  })

  it('goes on when `when` throws, which is reported', async () => {
    const connection = connecting(calm)
    const broken = new Error('when')
    const result = watch(
      connection.connect({
        when: () => {
          throw broken
        },
      }),
    )
    await failing(connection, 0)
    expect([result.state, connection.reported]).toEqual(['pending', [broken]])
  })

  it('makes attempts that are calls of the dependency: they judge it, and one is its trial', async () => {
    const connection = connecting({ circuit: { consecutiveFailures: 3 } })
    const { connect, dependency, clock, attempts, last } = connection
    const trying = connect()
    await failing(connection, 300)
    expect([dependency.mode, trying.state.phase, attempts.length]).toEqual(['unavailable', 'held', 3])
    await clock.advance(4_999)
    expect(attempts).toHaveLength(4)
    last().open('connection')
    expect(await trying).toBe('connection')
    expect(dependency.mode).toBe('available')
  })
})

describe('many callers', () => {
  it('share the attempt that is pending', async () => {
    const { connect, attempts, last } = connecting()
    const results = Array.from({ length: 100 }, () => watch(connect()))
    await settle()
    expect(attempts).toHaveLength(1)
    last().open('connection')
    await settle()
    expect(new Set(results.map(({ value }) => value))).toEqual(new Set(['connection']))
  })

  it('leave one by one, each for its own reason; the last ends the attempt', async () => {
    const { connect, last, clock } = connecting()
    const controllers = [new AbortController(), new AbortController()]
    const results = controllers.map(({ signal }) => watch(connect({ signal })))
    await settle()
    const { signal } = last().context
    controllers[0]!.abort('first')
    await settle()
    expect([results[0]!.error, results[1]!.state, signal.aborted]).toEqual(['first', 'pending', false])
    controllers[1]!.abort('second')
    await settle()
    expect([results[1]!.error, signal.aborted]).toEqual(['second', true])
    expect(clock.pending({ referenced: true })).toBe(0)
  })

  it('who come after one has left are held to the same pace', async () => {
    const { connect, attempts, clock } = connecting()
    for (let i = 0; i < 50; i++) {
      const controller = new AbortController()
      const result = watch(connect({ signal: controller.signal }))
      await settle()
      controller.abort('impatient')
      await settle()
      expect(result.error).toBe('impatient')
    }
    expect(attempts).toHaveLength(1)
    expect(clock.pending({ referenced: true })).toBe(0)
  })

  it('who leave in a back-off leave no timer behind', async () => {
    const connection = connecting(calm)
    const controller = new AbortController()
    watch(connection.connect({ signal: controller.signal }))
    await failing(connection, 10)
    expect(connection.clock.pending({ referenced: true })).toBe(1)
    controller.abort('gone')
    await settle()
    expect(connection.clock.pending({ referenced: true })).toBe(0)
  })

  it('who have left when the connection comes have it ended for them', async () => {
    const ended: string[] = []
    const { connect, last } = connecting()
    const controller = new AbortController()
    const result = watch(connect({ signal: controller.signal, discard: (connection) => ended.push(connection) }))
    await settle()
    last().open('connection')
    controller.abort('gone')
    await settle()
    expect([result.error, ended]).toEqual(['gone', ['connection']])
  })

  it('who leave in the very step that brings the connection have it, or have it ended for them, once', async () => {
    for (let count = 0; count <= 12; count++) {
      const ended: string[] = []
      const { connect, last } = connecting()
      const controller = new AbortController()
      const result = watch(connect({ signal: controller.signal, discard: (connection) => ended.push(connection) }))
      await settle()
      last().open('connection')
      await turns(count)
      controller.abort('gone')
      await settle()
      expect([count, result.value ?? ended]).toEqual([count, result.value ?? ['connection']])
      expect(ended).toHaveLength(result.state === 'resolved' ? 0 : 1)
    }
  })

  it('who come when the last has just left share what is begun for them, and whoever comes next does too', async () => {
    const { connect, attempts, last, clock } = connecting(calm)
    const controller = new AbortController()
    watch(connect({ signal: controller.signal }))
    await settle()
    controller.abort('gone')
    const second = watch(connect())
    await settle()
    const third = watch(connect())
    while (attempts.length < 2) await clock.advance(1)
    last().open('connection')
    await settle()
    expect([second.value, third.value]).toEqual(['connection', 'connection'])
  })

  it('who leave in the course of an attempt are asked nothing of its error, and told of no wait', async () => {
    const { connect, events } = connecting()
    const controller = new AbortController()
    const when = vi.fn(() => true)
    watch(connect({ signal: controller.signal, when }))
    await settle()
    controller.abort('gone')
    await settle()
    expect(events.map(({ phase }) => phase)).toEqual(['ended'])
    expect(when).not.toHaveBeenCalled()
  })

  it('who are gone before they come begin nothing', async () => {
    const { connect, attempts } = connecting()
    const trying = connect({ signal: AbortSignal.abort('gone') })
    await expect(trying).rejects.toBe('gone')
    expect([attempts.length, trying.state]).toEqual([0, { phase: 'ended', attempts: 0 }])
  })
})

describe('the pace', () => {
  it('holds after a connection too: one that is lost at once is as good as a failure', async () => {
    const { connect, last, attempts, clock } = connecting()
    for (const at of [0, 75, 225, 525]) {
      const result = watch(connect())
      while (attempts.at(-1)?.at !== at) await clock.advance(1)
      last().open('connection')
      await settle()
      expect(result.value).toBe('connection')
    }
  })

  it('begins anew after a steady time', async () => {
    const { connect, last, attempts, clock } = connecting()
    for (let i = 0; i < 5; i++) {
      watch(connect({ steadyFor: 10_000 }))
      while (attempts.length <= i) await clock.advance(1)
      last().open('connection')
      await settle()
    }
    await clock.advance(1_200 + 10_000)
    const trying = connect({ steadyFor: 10_000 })
    await settle()
    expect(trying.state).toEqual({ phase: 'trying', attempts: 1 })
  })

  it('does not begin anew because a wait was longer than the steady time', async () => {
    const connection = connecting(calm)
    watch(connection.connect({ backoff: { base: 2_000 }, steadyFor: 100 }))
    expect(await failing(connection, 11_000)).toEqual([0, 1_500, 4_500, 10_500])
  })

  it('is one for all registries of a process: a start-up that loops makes a new one each time', async () => {
    const clock = new ManualClock()
    const first = connecting(calm, clock)
    const second = connecting(calm, clock)
    watch(first.connect())
    const later = second.connect()
    await clock.advance(1_000)
    expect([first.attempts.length, second.attempts.length]).toEqual([1, 0])
    first.last().open('connection')
    await settle()
    expect(later.state).toMatchObject({ phase: 'trying', attempts: 2 })
  })

  it('bounds the attempts in any time, whoever calls, leaves, connects or fails', async () => {
    const step = fc.oneof(
      fc.constant('call' as const),
      fc.constant('leave' as const),
      fc.constant('open' as const),
      fc.constant('fail' as const),
      fc.constantFrom(1, 40, 300, 2_000),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60, size: 'max' }), async (steps) => {
        const { connect, attempts, clock, dependency } = connecting({ circuit: { consecutiveFailures: false } })
        const callers: { controller: AbortController; result: Watched<string> }[] = []
        for (const taken of steps) {
          if (taken === 'call') {
            const controller = new AbortController()
            callers.push({ controller, result: watch(connect({ signal: controller.signal })) })
          } else if (taken === 'leave') callers.shift()?.controller.abort('gone')
          else if (taken === 'open') attempts.at(-1)?.open('connection')
          else if (taken === 'fail') attempts.at(-1)?.fail(down)
          else await clock.advance(taken)
          await settle()
          expect(dependency.inFlight().filter(({ callerGone }) => !callerGone).length).toBeLessThanOrEqual(1)
        }
        for (let i = 1; i < attempts.length; i++) {
          const shortest = Math.min(30_000, 100 * 2 ** (i - 1)) / 2
          expect(attempts[i]!.at - attempts[i - 1]!.at).toBeGreaterThanOrEqual(shortest)
        }
        for (const { controller } of callers) controller.abort('gone')
        for (const { open } of attempts) open('connection')
        await clock.advance(200_000)
        expect(callers.filter(({ result }) => result.state === 'pending')).toEqual([])
        expect(clock.pending()).toBe(0)
      }),
      { numRuns: 60 },
    )
  })
})

describe('the mode', () => {
  it('unavailable holds it back; available at an operator’s word lets it try at once', async () => {
    const { registry, connect, attempts, clock, events } = connecting()
    registry.setMode('redis', 'unavailable', { reason: 'restoring', for: Infinity })
    const trying = connect()
    await clock.advance(3_600_000)
    expect([trying.state.phase, attempts.length]).toEqual(['held', 0])
    expect(events.map(({ phase }) => phase)).toEqual(['held'])
    registry.setMode('redis', 'available', { reason: 'restored' })
    await settle()
    expect([trying.state.phase, attempts.length]).toEqual(['trying', 1])
  })

  it('available at an operator’s word ends a back-off, once', async () => {
    const connection = connecting(calm)
    const { registry, connect, attempts } = connection
    const trying = connect({ backoff: { base: 10_000 } })
    await failing(connection, 100)
    expect(attempts).toHaveLength(1)
    registry.setMode('redis', 'available', { reason: 'it is there' })
    await failing(connection, 100)
    expect(attempts).toHaveLength(2)
    expect(trying.state).toMatchObject({ phase: 'waiting', attempts: 2 })
  })

  it('unavailable in a back-off holds the next attempt back, and its pace holds afterwards', async () => {
    const connection = connecting(calm)
    const { registry, connect, attempts, clock } = connection
    const trying = connect({ backoff: { base: 1_000 } })
    await failing(connection, 0)
    registry.setMode('redis', 'unavailable', { reason: 'test', for: Infinity })
    await settle()
    expect(trying.state).toEqual({ phase: 'held', attempts: 1, code: 'ECONNREFUSED' })
    registry.clearMode('redis')
    await clock.advance(749)
    expect([trying.state.phase, attempts.length]).toEqual(['waiting', 1])
    await clock.advance(1)
    expect(attempts).toHaveLength(2)
  })

  it('drained holds it back until it is released', async () => {
    const { dependency, connect, attempts, clock } = connecting()
    const drained = await dependency.drain({ reason: 'repair' })
    watch(connect())
    await clock.advance(60_000)
    expect(attempts).toHaveLength(0)
    drained.release()
    await settle()
    expect(attempts).toHaveLength(1)
  })
})

describe('closed', () => {
  const code = ({ error }: Watched<unknown>): unknown => (error as { code?: unknown } | undefined)?.code

  it('ends a back-off, and whoever is held back', async () => {
    const connection = connecting(calm)
    const result = watch(connection.connect())
    await failing(connection, 10)
    await connection.registry.close()
    await settle()
    expect([code(result), connection.clock.pending({ referenced: true })]).toEqual(['ERR_CLOSED', 0])
    const held = connecting()
    held.registry.setMode('redis', 'unavailable', { reason: 'test', for: Infinity })
    const other = watch(held.connect())
    await settle()
    await held.registry.close()
    await settle()
    expect([code(other), held.clock.pending()]).toEqual(['ERR_CLOSED', 0])
  })

  it('ends an attempt that does not end by itself', async () => {
    const { dependency, connect, clock, last } = connecting()
    const result = watch(connect())
    await settle()
    const closing = dependency.close({ timeout: 100 })
    await clock.advance(100)
    await closing
    expect([code(result), last().context.signal.aborted]).toEqual(['ERR_CLOSED', true])
    const late = watch(connect())
    await settle()
    expect(code(late)).toBe('ERR_CLOSED')
  })
})

describe('a state file', () => {
  const fileIn = (): string => {
    const directory = mkdtempSync(join(tmpdir(), 'cofferdam-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    return join(directory, 'state')
  }
  /** What a process that has just started sees: a clock of its own, and nothing but the file. */
  const process = (wall: number): Connecting => connecting(calm, new ManualClock({ wall }))
  const START = 1_800_000_000_000

  const begun = async ({ attempts }: Connecting, count = 1): Promise<void> =>
    until(() => attempts.length === count, `attempt ${count} is begun`)

  it('is written before each attempt, whole', async () => {
    const stateFile = fileIn()
    const one = process(START)
    watch(one.connect({ stateFile }))
    await begun(one)
    expect(JSON.parse(readFileSync(stateFile, 'utf8'))).toEqual({
      dependency: 'redis',
      attempts: 1,
      at: START,
      wait: 75,
    })
    expect(existsSync(`${stateFile}.tmp`)).toBe(false)
  })

  it('keeps the back-off over processes that end and are started again at once', async () => {
    const stateFile = fileIn()
    let wall = START
    const spaces: number[] = []
    for (let attempts = 1; attempts <= 6; attempts++) {
      const one = process(wall)
      const trying = one.connect({ stateFile })
      for (let waited = 0; one.attempts.length === 0; waited++) {
        // The file is read from a real disk.
        if (waited === 0) await until(() => one.clock.pending() > 0 || one.attempts.length > 0, 'it has been read')
        await one.clock.advance(trying.state.next ?? 0)
        await until(() => one.clock.pending({ referenced: true }) > 0 || one.attempts.length > 0, 'it goes on')
      }
      expect(trying.state.attempts).toBe(attempts)
      spaces.push(one.clock.wall() - wall)
      wall = one.clock.wall()
    }
    expect(spaces).toEqual([0, 75, 150, 300, 600, 1_200])
  })

  it('is forgotten after a steady time', async () => {
    const stateFile = fileIn()
    writeFileSync(stateFile, JSON.stringify({ dependency: 'redis', attempts: 9, at: START, wait: 30_000 }))
    const one = process(START + 30_000 + 60_000)
    const trying = one.connect({ stateFile })
    await begun(one)
    expect(trying.state.attempts).toBe(1)
  })

  it('of a process before ours says nothing to one that has tried itself', async () => {
    const stateFile = fileIn()
    const one = process(START)
    watch(one.connect({ stateFile }))
    await begun(one)
    one.last().open('connection')
    await settle()
    writeFileSync(stateFile, JSON.stringify({ dependency: 'redis', attempts: 9, at: START, wait: 30_000 }))
    const waiting = (): number => one.clock.pending({ referenced: true })
    const before = waiting()
    const trying = one.connect({ stateFile })
    await until(() => waiting() > before, 'the file has been read, and it waits its turn')
    await one.clock.advance(trying.state.next!)
    await until(() => one.attempts.length > 1, 'it goes on')
    expect([trying.state.attempts, one.clock.now() - one.attempts[0]!.at < 1_000]).toEqual([2, true])
  })

  it('from a time to come makes nobody wait longer than it says', async () => {
    const stateFile = fileIn()
    writeFileSync(stateFile, JSON.stringify({ dependency: 'redis', attempts: 9, at: START + 1e9, wait: 1e12 }))
    const one = process(START)
    const trying = one.connect({ stateFile })
    await until(() => (trying.state.next ?? 0) > 0, 'it has been read')
    expect(trying.state).toMatchObject({ attempts: 9, next: 30_000 })
    await one.clock.advance(30_000)
    await begun(one)
  })

  it.each([
    ['empty', ''],
    ['torn', '{"dependency":"redis","attempts":4,"at":18000000'],
    ['not JSON', '\u0000\u0001'],
    ['another’s', JSON.stringify({ dependency: 'postgres', attempts: 9, at: START, wait: 30_000 })],
    ['of another kind', JSON.stringify({ pid: 5 })],
    ['nonsense', JSON.stringify({ dependency: 'redis', attempts: -1, at: 'now', wait: null })],
    ['null', 'null'],
    ['huge', 'x'.repeat(1_000_000)],
  ])('that is %s is as good as none, and is replaced', async (_, content) => {
    const stateFile = fileIn()
    writeFileSync(stateFile, content)
    const one = process(START)
    watch(one.connect({ stateFile }))
    await begun(one)
    expect(one.reported).toEqual([])
    expect(JSON.parse(readFileSync(stateFile, 'utf8'))).toMatchObject({ dependency: 'redis', attempts: 1 })
  })

  it('that can’t be written is reported, and holds nothing up', async () => {
    const one = process(START)
    watch(one.connect({ stateFile: join(fileIn(), 'no', 'such', 'directory') }))
    await begun(one)
    expect(one.reported).toMatchObject([{ code: 'ENOENT' }])
  })
})

describe('options', () => {
  it.each<[object, string]>([
    [{ dependency: 'redis' }, 'keepTrying.dependency'],
    [{ retries: 3 }, 'keepTrying.retries'],
    [{ backoff: { base: 0 } }, 'keepTrying.backoff.base'],
    [{ backoff: { base: 200, atMost: 100 } }, 'keepTrying.backoff.base'],
    [{ timeout: 0 }, 'keepTrying.timeout'],
    [{ steadyFor: -1 }, 'keepTrying.steadyFor'],
    [{ stateFile: '' }, 'keepTrying.stateFile'],
    [{ when: true }, 'keepTrying.when'],
    [{ discard: true }, 'keepTrying.discard'],
    [{ signal: {} }, 'keepTrying.signal'],
  ])('%j is refused, naming %s, and nothing is begun', (given, path) => {
    const { connect, attempts } = connecting()
    expect(() => connect(given)).toThrow(expect.objectContaining({ code: 'ERR_OPTION', path }) as Error)
    expect(attempts).toHaveLength(0)
  })

  it('something that can’t be called is refused', () => {
    const { dependency } = connecting()
    expect(() => keepTrying('redis' as never, { dependency })).toThrow(
      expect.objectContaining({ path: 'connect' }) as Error,
    )
  })
})
