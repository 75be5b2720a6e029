import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { cacheFile, type CacheFileOptions } from '../src/cache-file.js'
import { compose } from '../src/core/compose.js'
import { CacheDumpError, ClosedError } from '../src/core/errors.js'
import type { OperationOptions } from '../src/operation-options.js'
import { staleCache } from '../src/policies/stale-cache.js'
import { ManualClock, settle } from '../src/testing.js'
import { watch } from './support/calls.js'
import { down, loads, type Loads } from './support/loads.js'

const MONDAY = 1_767_225_600_000
const none = {
  loaded: 0,
  expired: 0,
  older: 0,
  future: 0,
  malformed: 0,
  full: 0,
  unclaimed: 0,
  generations: [],
  refused: 0,
}

let directory: string
let path: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cofferdam-'))
  path = join(directory, 'feed')
})
afterEach(() => rmSync(directory, { recursive: true }))

const processes: { file: { close(): Promise<void> } }[] = []
afterEach(async () => {
  // Nothing may be left that writes into a directory that is gone.
  await Promise.all(processes.splice(0).map(({ file }) => file.close()))
})

/** A process, so and so long after the first. */
function started(by = 0, options: CacheFileOptions = {}, own: OperationOptions<[string, string?], unknown> = {}) {
  const it = loads(own, {}, new ManualClock({ wall: MONDAY + by }))
  const file = cacheFile(path, it.dependency, options)
  const made = { ...it, file }
  processes.push(made)
  return made
}

async function fill(it: Loads, ...ids: string[]): Promise<void> {
  for (const id of ids) await it.fill(id, `${id}!`)
}

const numbered = (count: number, by = ''): string[] => Array.from({ length: count }, (_, i) => `${by}${i}`)
const names = (): string[] => readdirSync(directory).sort()

/** Real files take real time; the clock stands still. */
async function until(done: () => boolean): Promise<void> {
  while (!done()) await settle()
}

describe('a cache file', () => {
  test('brings the next process what the last one had, with its age', async () => {
    const first = started()
    await fill(first, 'a', 'b')
    expect(await first.file.save()).toBe('written')
    const next = started(500)
    expect(await next.file.load()).toEqual({ ...none, loaded: 2, generations: [0] })
    const outcome = next.load.outcome('a')
    next.last().fail(down)
    expect(await outcome).toMatchObject({ value: 'a!', source: 'stale', age: 500 })
  })

  test('is missing at the first start, and that is fine', async () => {
    expect(await started().file.load()).toEqual(none)
  })

  test('is for nobody but its owner to read, and leaves nothing beside it', async () => {
    const { file, ...it } = started()
    await fill(it, 'a')
    await file.save()
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(names()).toEqual(['feed'])
  })

  test('can be kept of some operations, or of composed ones', async () => {
    const clock = new ManualClock()
    const make = () =>
      compose([staleCache({ key: (id: string) => id, scope: 'public', freshFor: 1_000 })], [], { clock, name: 'page' })(
        (_, id: string) => id,
      )
    const load = make()
    await load('a')
    const timers = clock.pending()
    const { load: other, fill } = started()
    await fill('b', 1)
    const file = cacheFile(path, [load, other])
    await file.save()
    await file.close()
    const next = make()
    const reader = cacheFile(path, [next])
    expect(await reader.load()).toEqual({ ...none, loaded: 1, unclaimed: 1, generations: [0] })
    expect(await next.outcome('a')).toMatchObject({ source: 'fresh' })
    await reader.close()
    expect(clock.pending()).toBe(timers)
  })

  test('has private values only where that is allowed, to write and to read', async () => {
    const mine: OperationOptions<[string, string?], unknown> = { scope: (_id, user = '') => user }
    const first = started(0, {}, mine)
    await first.fill('a', 'anna’s', 'anna')
    expect(await first.file.save()).toBe('empty')
    const allowed = cacheFile(path, first.dependency, { private: true })
    expect(await allowed.save()).toBe('written')
    await allowed.close()
    expect(await started(0, {}, mine).file.load()).toMatchObject({ loaded: 0, unclaimed: 1 })
    const next = started(0, { private: true }, { ...mine, freshFor: 1_000 })
    expect(await next.file.load()).toMatchObject({ loaded: 1, unclaimed: 0 })
    expect(await next.load('a', 'anna')).toBe('anna’s')
    void next.load('a', 'bert').catch(() => undefined)
    expect(next.runs).toHaveLength(1)
  })

  test('leaves out what JSON can’t carry', async () => {
    const first = started()
    await first.fill('a', new Date(0))
    await first.fill('b', 1)
    await first.file.save()
    expect(readFileSync(path, 'utf8')).toContain('"skipped":1')
    expect(await started().file.load()).toMatchObject({ loaded: 1 })
  })

  test('carries all text, in keys and values', async () => {
    const text = '\u0000\n"\ud800 😀\u2028\r\n'
    const first = started()
    await first.fill(text, text)
    await first.file.save()
    const next = started()
    await next.file.load()
    expect(await next.failing(text)).toBe(text)
  })

  test.each<[string, unknown, unknown, unknown]>([
    ['cacheFile.path', '', undefined, {}],
    ['cacheFile.source', 'f', null, {}],
    ['cacheFile.source', 'f', [], {}],
    ['cacheFile.source[0]', 'f', [() => 1], {}],
    ['cacheFile.every', 'f', undefined, { every: 0 }],
    ['cacheFile.generations', 'f', undefined, { generations: 0 }],
    ['cacheFile.maxBytes', 'f', undefined, { maxBytes: Number.NaN }],
    ['cacheFile.privat', 'f', undefined, { privat: true }],
  ])('refuses a bad %s', (option, at, source, options) => {
    const given = source === undefined ? loads().dependency : source
    const make = (): unknown => cacheFile(at as string, given as never, options as never)
    expect(make).toThrow(expect.objectContaining({ code: 'ERR_OPTION', path: option }) as Error)
  })

  test('refuses two operations that it could not tell apart', () => {
    const make = (): unknown => cacheFile(path, [loads().load, loads().load])
    expect(make).toThrow('cacheFile.source')
  })
})

describe('in the background', () => {
  test('it is saved every so often, off its time, by timers that keep no process alive', async () => {
    const { file, clock, ...it } = started(0, { every: 1_000 })
    expect(clock.pending()).toBe(1)
    expect(clock.pending({ referenced: true })).toBe(0)
    await fill({ ...it, clock }, 'a')
    await clock.advance(500)
    await until(() => file.counts.written === 1)
    await it.fill('b', 1)
    await clock.advance(999)
    expect(file.counts.written).toBe(1)
    await clock.advance(1)
    await until(() => file.counts.written === 2)
    expect(await started(1_500).file.load()).toMatchObject({ loaded: 2 })
    await clock.advance(1_000)
    await until(() => file.counts.unchanged === 1)
  })

  test('close saves once more, and no more after that', async () => {
    const { file, clock, ...it } = started(0, { every: 1_000 })
    await it.fill('a', 1)
    await Promise.all([file.close(), file.close()])
    expect(file.counts.written).toBe(1)
    await clock.advance(100_000)
    expect(clock.pending()).toBe(0)
    await expect(file.save()).rejects.toThrow(ClosedError)
    await expect(file.load()).rejects.toThrow(ClosedError)
    expect(await started(0).file.load()).toMatchObject({ loaded: 1 })
  })

  test('saves asked for at once are one, and one asked for while another is under way has what came since', async () => {
    const { file, ...it } = started()
    await it.fill('a', 1)
    const first = [file.save(), file.save()]
    await settle()
    await it.fill('b', 2)
    const second = [file.save(), file.save()]
    expect(await Promise.all([...first, ...second])).toEqual([
      'written',
      'written',
      expect.any(String),
      expect.any(String),
    ])
    expect(file.counts.written + file.counts.unchanged).toBe(2)
    expect(await started().file.load()).toMatchObject({ loaded: 2 })
  })

  test('a file that can’t be written is told of without its path, and calls go on', async () => {
    path = join(directory, 'missing', 'feed')
    const { file, clock, reported, ...it } = started(0, { every: 1_000 })
    await it.fill('a', 1)
    await clock.advance(1_000)
    await until(() => reported.length > 0)
    expect(reported[0]).toBeInstanceOf(CacheDumpError)
    expect(String(reported[0])).toBe('CacheDumpError: a cache file could not be saved: ENOENT')
    expect((reported[0] as Error).cause).toBeUndefined()
    expect(file.counts.failed).toBe(1)
    expect(await it.failing('a')).toBe(1)
    await expect(file.save()).rejects.toMatchObject({
      code: 'ERR_CACHE_DUMP',
      message: expect.stringContaining(path) as string,
    })
    await file.close()
    expect(reported).toHaveLength(2)
  })
})

describe('what is torn or foreign', () => {
  test('torn at whatever byte it is refused, and nothing of it is loaded', async () => {
    const first = started()
    await fill(first, 'a', 'b')
    await first.file.save()
    const whole = readFileSync(path)
    const next = started()
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length))
      await expect(next.file.load()).rejects.toThrow(CacheDumpError)
    }
    expect(next.load.cache.dump().entries).toEqual([])
    writeFileSync(path, whole)
    expect(await next.file.load()).toMatchObject({ loaded: 2 })
  })

  test('with whatever byte changed it is refused too', async () => {
    const first = started()
    await fill(first, 'a')
    await first.file.save()
    const whole = readFileSync(path)
    const next = started()
    for (let at = 0; at < whole.length; at++) {
      const other = Buffer.from(whole)
      other[at]! ^= 1
      writeFileSync(path, other)
      await expect(next.file.load()).rejects.toThrow(CacheDumpError)
    }
    expect(next.load.cache.dump().entries).toEqual([])
  })

  test('torn at whatever byte, the next generation is taken, and that is told of without the path', async () => {
    const first = started()
    await fill(first, 'a')
    await first.file.save()
    await first.clock.advance(10)
    await fill(first, 'a', 'b')
    await first.file.save()
    const whole = readFileSync(path)
    for (let length = 0; length < whole.length; length += 7) {
      writeFileSync(path, whole.subarray(0, length))
      const next = started(10)
      expect(await next.file.load()).toEqual({ ...none, loaded: 1, generations: [1], refused: 1 })
      expect(String(next.reported)).toMatch(/^CacheDumpError: a cache file could not be read, .* is torn/)
      expect(String(next.reported)).not.toContain(directory)
      processes.pop()
      next.load.cache.clear()
    }
    rmSync(path)
    expect(await started(10).file.load()).toEqual({ ...none, loaded: 1, generations: [1] })
  })

  test.each<[string, string, string]>([
    ['text', 'hello\n', 'is not a cache file'],
    ['other JSON', '{"cofferdam":"something"}\n', 'is not a cache file'],
    ['a later format', '{"cofferdam":"cache","format":2,"x":1}\n{}\n', 'is of a format that is not known here'],
  ])('%s is refused with its name, and the cache is empty', async (_, content, problem) => {
    writeFileSync(path, content)
    const { file, load } = started()
    await expect(file.load()).rejects.toMatchObject({
      code: 'ERR_CACHE_DUMP',
      message: `cache file ${path}: ${problem}`,
    })
    expect(load.cache.dump().entries).toEqual([])
  })

  test.each<[string, string]>([
    ['', 'is not a cache file'],
    ['.2', 'generation 2 is not a cache file'],
  ])('a file%s that isn’t ours is never written over', async (generation, problem) => {
    writeFileSync(`${path}${generation}`, 'precious')
    const { file, ...it } = started()
    await it.fill('a', 1)
    await expect(file.save()).rejects.toThrow(`cache file ${path}: ${problem}`)
    expect(readFileSync(`${path}${generation}`, 'utf8')).toBe('precious')
    expect(names()).toHaveLength(1)
  })

  test('nor a directory or a pipe waited for', async () => {
    mkdirSync(path)
    await expect(started().file.load()).rejects.toThrow('is not a file')
    rmSync(path, { recursive: true })
    execFileSync('mkfifo', [path])
    const { file, ...it } = started()
    await it.fill('a', 1)
    await expect(file.load()).rejects.toThrow('is not a file')
    await expect(file.save()).rejects.toThrow('is not a file')
  })

  test('a torn one of ours is written over', async () => {
    writeFileSync(path, '{"cofferdam":"ca')
    const { file, ...it } = started()
    await it.fill('a', 1)
    expect(await file.save()).toBe('written')
    expect(await started().file.load()).toMatchObject({ loaded: 1 })
  })

  test('one that is larger than maxBytes is not read', async () => {
    const { file, ...it } = started()
    await it.fill('a', 'x'.repeat(5_000))
    await file.save()
    await expect(started(0, { maxBytes: 5_000 }).file.load()).rejects.toThrow('is larger than maxBytes, 5000')
  })
})

describe('generations', () => {
  /** Five saves, each with one value more. */
  async function fiveSaves(options: CacheFileOptions = {}) {
    const it = started(0, options)
    for (const id of ['a', 'b', 'c', 'd', 'e']) {
      await it.clock.advance(10)
      await it.fill(id, id)
      await it.file.save()
    }
    return it
  }
  const entriesIn = (name: string): number =>
    (JSON.parse(readFileSync(join(directory, name), 'utf8').split('\n')[0]!) as { entries: number }).entries

  test('three are kept, the newest first', async () => {
    await fiveSaves()
    expect(names()).toEqual(['feed', 'feed.1', 'feed.2'])
    expect(names().map(entriesIn)).toEqual([5, 4, 3])
  })

  test('or as many as are asked for', async () => {
    await fiveSaves({ generations: 1 })
    expect(names()).toEqual(['feed'])
  })

  test('an empty cache takes the place of nothing (the Muut backup)', async () => {
    await fiveSaves()
    const empty = started(1_000)
    expect(await empty.file.save()).toBe('empty')
    await empty.file.close()
    expect(names().map(entriesIn)).toEqual([5, 4, 3])
  })

  test('nor does one that is older: it goes behind what is newer, or nowhere', async () => {
    const { clock } = await fiveSaves()
    const old = started(-1_000)
    await old.fill('a', 'old')
    old.clock.stepWall(1_000 + clock.now())
    // The wall is right again; what the process holds counts from before.
    const behind = loads({}, {}, new ManualClock({ wall: MONDAY }))
    await behind.fill('old', 1)
    await behind.clock.advance(100)
    const file = cacheFile(path, behind.dependency)
    expect(await file.save()).toBe('older')
    rmSync(`${path}.2`)
    expect(await file.save()).toBe('kept')
    await file.close()
    expect(names().map(entriesIn)).toEqual([5, 4, 1])
    expect(await started(100).file.load()).toMatchObject({ loaded: 5, generations: [0] })
  })

  test('a much smaller one is written, and the fuller one lives on while it is of use; a load takes both', async () => {
    const full = started()
    await fill(full, ...numbered(50))
    await full.file.save()
    // Started without loading.
    const small = started(100, {}, { staleFor: 10_000 })
    for (const id of numbered(6, 'new ')) {
      await small.clock.advance(10)
      await small.fill(id, 1)
      expect(await small.file.save()).toBe('written')
    }
    expect(names().map(entriesIn)).toEqual([6, 5, 50])
    expect(await started(300).file.load()).toEqual({ ...none, loaded: 56, generations: [0, 2] })
    await small.clock.advance(3_600_000)
    await small.fill('later', 1)
    await small.file.save()
    expect(names().map(entriesIn)).toEqual([1, 6, 5])
  })

  test('what was cleared on purpose is news: the empty one is written, and the fuller one behind it brings nothing back', async () => {
    const it = await fiveSaves()
    await it.clock.advance(10)
    it.load.cache.clear()
    expect(await it.file.save()).toBe('written')
    const next = started(100)
    expect(await next.file.load()).toMatchObject({ loaded: 0, older: 9, generations: [0, 1, 2] })
    expect(next.load.cache.dump().entries).toEqual([])
  })

  test('so is what was deleted', async () => {
    const it = await fiveSaves()
    await it.clock.advance(10)
    for (const id of ['b', 'c', 'd', 'e']) it.load.cache.delete(id)
    expect(await it.file.save()).toBe('written')
    const next = started(100)
    await next.file.load()
    expect(next.load.cache.dump().entries.map(({ key }) => key)).toEqual(['a'])
  })

  test('a file from when wall time was ahead keeps nothing out, and its values are not served', async () => {
    const ahead = started(86_400_000)
    await fill(ahead, 'a')
    await ahead.file.save()
    await ahead.file.close()
    const right = started()
    expect(await right.file.load()).toMatchObject({ loaded: 0, future: 1 })
    await fill(right, 'b')
    expect(await right.file.save()).toBe('written')
    expect(await started(10).file.load()).toMatchObject({ loaded: 1, future: 0 })
  })

  test('when there is nothing new, nothing is written', async () => {
    const { file, ...it } = started()
    await it.fill('a', 1)
    expect([await file.save(), await file.save()]).toEqual(['written', 'unchanged'])
    const next = started(10)
    await next.file.load()
    expect(await next.file.save()).toBe('unchanged')
    expect(names()).toEqual(['feed'])
  })
})

describe('bounds', () => {
  test('a file is no larger than maxBytes, and what was used last is in it, of each operation', async () => {
    const maxBytes = 20_000
    const { file, dependency, ...it } = started(0, { maxBytes })
    const other = dependency.wrap((_, id: string) => id, { name: 'other', key: (id) => id, scope: 'public' })
    for (const id of numbered(100)) await it.fill(id, 'x'.repeat(1_000))
    await other('small')
    await file.save()
    expect(statSync(path).size).toBeLessThanOrEqual(maxBytes)
    const next = started(0, { maxBytes })
    next.dependency.wrap((_, id: string) => id, { name: 'other', key: (id) => id, scope: 'public' })
    const { loaded } = await next.file.load()
    expect(loaded).toBeGreaterThan(15)
    expect(next.load.cache.dump().entries[0]!.key).toBe('99')
    expect(readFileSync(path, 'utf8')).toContain('"small"')
  })

  test('no more is loaded than the store may hold', async () => {
    const first = started()
    await fill(first, ...numbered(50))
    await first.file.save()
    const it = loads({}, { stale: { max: 10 } }, new ManualClock({ wall: MONDAY }))
    const file = cacheFile(path, it.dependency)
    expect(await file.load()).toMatchObject({ loaded: 10, full: 40 })
    expect(it.load.cache.dump().entries.map(({ key }) => key)).toEqual(numbered(50).slice(40).reverse())
    await file.close()
  })

  test('a hundred thousand values are saved and loaded while the event loop goes on turning', async () => {
    const count = 100_000
    const make = () => loads({}, { stale: { max: count } })
    const it = make()
    const dump = it.load.cache.dump()
    const entries = numbered(count).map((key) => ({ key, at: dump.at, value: { id: key, name: `the item ${key}` } }))
    it.load.cache.load({ ...dump, entries })
    const turned = async (work: Promise<unknown>): Promise<number> => {
      let turns = 0
      const watched = watch(work)
      for (; watched.state === 'pending'; turns++) await settle()
      return turns
    }
    const file = cacheFile(path, it.dependency)
    expect(await turned(file.save())).toBeGreaterThan(10)
    const next = make()
    const reader = cacheFile(path, next.dependency)
    const loading = reader.load()
    expect(await turned(loading)).toBeGreaterThan(10)
    expect(await loading).toMatchObject({ loaded: count })
    await Promise.all([file.close(), reader.close()])
  })
})

describe('others at the same file', () => {
  test('several processes that write it don’t tear it', async () => {
    const all = [started(), started(), started(), started()]
    for (let round = 0; round < 10; round++) {
      for (const [index, it] of all.entries()) {
        await it.clock.advance(10)
        await it.fill(`${index} ${round}`, 'x'.repeat(10_000))
      }
      await Promise.all(all.map(({ file }) => file.save()))
      expect(await started(1_000).file.load()).toMatchObject({ refused: 0 })
      processes.pop()
    }
    expect(names()).toEqual(['feed', 'feed.1', 'feed.2'])
  })

  test('what a killed process has left is cleared away in time, and nothing else', async () => {
    for (const name of ['feed.dead.tmp', 'feed.busy.tmp', 'feeder.dead.tmp']) writeFileSync(join(directory, name), '')
    for (const name of ['feed.dead.tmp', 'feeder.dead.tmp']) utimesSync(join(directory, name), 0, 0)
    const { file, ...it } = started()
    await it.fill('a', 1)
    await file.save()
    expect(names()).toEqual(['feed', 'feed.busy.tmp', 'feeder.dead.tmp'])
  })
})
