import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import type * as FS from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { cacheFile } from '../../src/cache-file.js'
import { createRegistry } from '../../src/registry.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch } from '../support/calls.js'
import { gate } from '../support/gate.js'
import { loads } from '../support/loads.js'

/** What the disk does from some step on; a step is whatever changes something. */
const disk = vi.hoisted(() => ({
  left: Infinity,
  dead: false,
  error: new Error('none'),
  hang: undefined as Promise<void> | undefined,
  begun: 0,
}))

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof FS>()
  const step = async <T>(doing: () => Promise<T>, instead?: () => Promise<unknown>): Promise<T> => {
    disk.begun++
    if (disk.left-- > 0) return doing()
    if (disk.hang !== undefined) {
      disk.left = Infinity
      await disk.hang
      return doing()
    }
    await instead?.()
    disk.left = disk.dead ? 0 : Infinity
    throw disk.error
  }
  const open: typeof FS.open = async (path, flags, mode) => {
    if (flags !== 'wx' && flags !== 'r') return real.open(path, flags, mode)
    const file = await step(() => real.open(path, flags, mode))
    const { writeFile, sync } = { writeFile: file.writeFile.bind(file), sync: file.sync.bind(file) }
    // Half of it gets there.
    file.writeFile = (data) =>
      step(
        () => writeFile(data),
        () => writeFile((data as Buffer).subarray(0, (data as Buffer).length >> 1)),
      )
    file.sync = () => step(sync)
    return file
  }
  return {
    ...real,
    open,
    rename: (from: string, to: string) => step(() => real.rename(from, to)),
    unlink: (path: string) => step(() => real.unlink(path)),
  }
})

let directory: string
let path: string
beforeEach(() => {
  Object.assign(disk, { left: Infinity, dead: false, error: new Error('none'), hang: undefined })
  directory = mkdtempSync(join(tmpdir(), 'cofferdam-'))
  path = join(directory, 'feed')
})
afterEach(() => rmSync(directory, { recursive: true }))

/** Three saves, each with one value more, so that there are three generations. */
async function threeSaves() {
  const it = loads()
  const file = cacheFile(path, it.dependency)
  for (const id of ['a', 'b', 'c']) {
    await it.clock.advance(10)
    await it.fill(id, id)
    expect(await file.save()).toBe('written')
  }
  await it.clock.advance(10)
  await it.fill('d', 'd')
  return { ...it, file }
}

/** How many values a new process finds. */
async function found() {
  const { dependency } = loads({}, {}, new ManualClock({ wall: 1_767_225_600_000 + 1_000 }))
  const file = cacheFile(path, dependency)
  const result = await file.load()
  await file.close()
  return result
}

describe('a save that is cut off', () => {
  test('by the end of the process, after whichever of its steps, leaves the last one or the new one whole', async () => {
    const seen = new Set<number>()
    for (let steps = 0; ; steps++) {
      const { file } = await threeSaves()
      Object.assign(disk, { left: steps, dead: true, error: new Error('gone') })
      const ended = await file.save().catch(() => 'cut off')
      Object.assign(disk, { left: Infinity, dead: false })
      const { loaded, refused } = await found()
      expect(refused).toBe(0)
      expect([3, 4]).toContain(loaded)
      seen.add(loaded)
      for (const name of readdirSync(directory)) rmSync(join(directory, name))
      if (ended === 'written') break
      expect(steps).toBeLessThan(20)
    }
    expect([...seen]).toEqual([3, 4])
  })

  test.each(['ENOSPC', 'EACCES', 'EIO', 'EROFS'])(
    'by %s, at whichever step, is an error with that code for the caller, leaves nothing behind, and the next one works',
    async (code) => {
      for (let steps = 0; steps < 9; steps++) {
        const { file, clock, fill } = await threeSaves()
        disk.left = steps
        disk.error = Object.assign(new Error(`${code}: open '${path}'`), { code })
        await expect(file.save()).rejects.toMatchObject({ code: 'ERR_CACHE_DUMP', cause: { code } })
        expect(readdirSync(directory).filter((name) => name.endsWith('.tmp'))).toEqual([])
        expect(await found()).toMatchObject({ loaded: 3, refused: 0 })
        await clock.advance(10)
        await fill('d', 'at last')
        expect(await file.save()).toBe('written')
        expect(await found()).toMatchObject({ loaded: 4, refused: 0 })
        for (const name of readdirSync(directory)) rmSync(join(directory, name))
      }
    },
  )

  test('by a disk that hangs ends in time for its callers, and no other begins beside it', async () => {
    const { file, clock, reported, ...it } = await threeSaves()
    const hang = gate()
    Object.assign(disk, { left: 0, hang: hang.promise, begun: 0 })
    const saves = [watch(file.save())]
    while (disk.begun === 0) await settle()
    saves.push(watch(file.save()), watch(file.save()))
    await clock.advance(30_000)
    await settle()
    expect(saves.map(({ error }) => (error as Error | undefined)?.message)).toEqual(
      Array(3).fill(`cache file ${path}: save took longer than timeout, 30000 ms`),
    )
    // Those of the background meanwhile.
    await clock.advance(300_000)
    expect(disk.begun).toBe(1)
    expect(String(reported[0])).toContain('a cache file could not be saved: save took longer')
    hang.open()
    await it.fill('e', 1)
    expect(await file.save()).toBe('written')
    expect(clock.pending({ referenced: true })).toBe(0)
  })
})

test('killed again and again while it saves, a process finds a whole file each time', async () => {
  const fixture = fileURLToPath(new URL('fixtures/saver.ts', import.meta.url))
  for (let kill = 0; kill < 8; kill++) {
    const child = spawn(process.execPath, ['--import', 'tsx', fixture, path], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [loaded] = (await Promise.race([
      once(child.stdout, 'data'),
      once(child, 'exit').then(() => {
        throw new Error('the child ended by itself')
      }),
    ])) as [Buffer]
    expect(Number(loaded)).toBe(kill === 0 ? 0 : 501)
    // Somewhere in the middle of a later save.
    await new Promise((resolve) => setTimeout(resolve, kill * 7))
    child.kill('SIGKILL')
    await once(child, 'exit')
    const load = createRegistry()
      .dependency('feed')
      .wrap(() => 1, { name: 'load', key: () => 'a', scope: 'public' })
    const file = cacheFile(path, [load])
    expect(await file.load()).toMatchObject({ loaded: 501, refused: 0 })
    await file.close()
  }
}, 60_000)
