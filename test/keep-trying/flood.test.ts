import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from 'redis'
import { expect, it, onTestFinished } from 'vitest'
import { createRegistry, keepTrying, type Registry } from '../../src/index.js'
import { describeWith } from '../support/servers/describe-with.js'
import { startRedis } from '../support/servers/redis.js'
import { front, type Front } from './front.js'
import { supervisor } from './supervisor.js'

type Client = ReturnType<typeof createClient>

const ROOM = 64

/** How many attempts fit into so many ms when each back-off is as short as it may be: half of it. */
function mostWithin(ms: number, base = 100): number {
  let most = 1
  for (let spent = 0; (spent += (base * 2 ** (most - 1)) / 2) <= ms;) most++
  return most
}

interface Neighbour {
  /** Another app's client, connected all the time. */
  readonly standing: Client
  /** Connects once more, asks, and leaves. Rejects when it is refused. */
  visit: () => Promise<void>
  /** So it goes on until something has ended: how often, and what it was refused with. */
  during: (what: Promise<unknown>) => Promise<{ visits: number; refusals: unknown[] }>
}

async function rig(): Promise<{ through: Front; connect: (url: string) => Promise<Client>; healthy: Neighbour }> {
  const server = await startRedis({ args: ['--maxclients', `${ROOM}`] })
  onTestFinished(() => server.stop())
  const clients: Client[] = []
  onTestFinished(() => {
    for (const client of clients) if (client.isOpen) client.destroy()
  })
  const connect = async (url: string): Promise<Client> => {
    const client = createClient({ url, socket: { reconnectStrategy: false } })
    client.on('error', () => undefined)
    clients.push(client)
    await client.connect()
    return client
  }
  const standing = await connect(server.url)
  const visit = async (): Promise<void> => {
    const client = await connect(server.url)
    expect(await client.ping()).toBe('PONG')
    await client.close()
  }
  const during = async (what: Promise<unknown>): Promise<{ visits: number; refusals: unknown[] }> => {
    let [over, visits] = [false, 0]
    const ended = what.finally(() => (over = true))
    const refusals: unknown[] = []
    while (!over) {
      visits++
      await visit().catch((error: unknown) => refusals.push(error))
      expect(await standing.ping()).toBe('PONG')
      await sleep(5)
    }
    await ended
    return { visits, refusals }
  }
  return { through: await front(server), connect, healthy: { standing, visit, during } }
}

/** How many Redis itself has turned away for want of room. */
async function turnedAway({ standing }: Neighbour): Promise<number> {
  return Number(/rejected_connections:(\d+)/.exec(await standing.info('stats'))![1])
}

describeWith('redis', 'a start-up that loops in one process, on a real Redis with room for 64 clients', () => {
  const LOOPS = 200

  it('takes all of them for itself when nothing holds it back, and a healthy client is refused', async () => {
    const { through, connect, healthy } = await rig()
    const looping = async (): Promise<void> => {
      for (let i = 0; i < LOOPS; i++) await connect(through.url)
    }
    await expect(looping()).rejects.toThrow()
    expect(through.attempts).toBe(ROOM)
    await expect(healthy.visit()).rejects.toThrow()
    expect(await turnedAway(healthy)).toBe(2)
  })

  it('makes a few with keepTrying, although each loop has a registry of its own, and no other client notices', async () => {
    const { through, connect, healthy } = await rig()
    const registries: Registry[] = []
    const began = performance.now()
    const looping = async (): Promise<void> => {
      for (let i = 0; i < LOOPS; i++) {
        const registry = createRegistry()
        registries.push(registry)
        const start = keepTrying(() => connect(through.url), { dependency: registry.dependency('looping redis') })
        // Its start-up fails for another reason, and begins again.
        await Promise.race([start, sleep(5)])
      }
    }
    const { visits, refusals } = await healthy.during(looping())
    const took = performance.now() - began
    await Promise.all(registries.map((registry) => registry.close()))
    expect(refusals).toEqual([])
    expect(visits).toBeGreaterThan(0)
    expect(through.attempts).toBeGreaterThan(0)
    expect(through.attempts).toBeLessThanOrEqual(Math.min(mostWithin(took), 12))
    expect(through.most).toBe(1)
    expect(await turnedAway(healthy)).toBe(0)
  })
})

describeWith(
  'redis',
  'a process that ends and is respawned 20 times a second, on a real Redis with room for 64',
  () => {
    const RESPAWNS = { times: 20, every: 50 }
    /** Of each start-up. */
    const CLIENTS = 4
    const program = 'test/keep-trying/fixtures/respawned.ts'

    it(
      'takes all of them when nothing holds it back, and a healthy client is refused',
      { timeout: 120_000 },
      async () => {
        const { through, healthy } = await rig()
        const { run } = await supervisor(program, [through.url, `${CLIENTS}`], RESPAWNS)
        const { refusals } = await healthy.during(run())
        expect(through.attempts).toBeGreaterThanOrEqual(ROOM)
        expect(refusals).not.toEqual([])
        await expect(healthy.visit()).rejects.toThrow()
        expect(await turnedAway(healthy)).toBeGreaterThan(1)
      },
    )

    it('connects at a bounded pace with keepTrying, and no other client notices', { timeout: 120_000 }, async () => {
      const { through, healthy } = await rig()
      const directory = mkdtempSync(join(tmpdir(), 'cofferdam-'))
      onTestFinished(() => rmSync(directory, { recursive: true }))
      const { run } = await supervisor(program, [through.url, `${CLIENTS}`, join(directory, 'state')], RESPAWNS)
      const running = run()
      const { visits, refusals } = await healthy.during(running)
      const took = await running
      expect(refusals).toEqual([])
      expect(visits).toBeGreaterThan(0)
      expect(through.attempts).toBeGreaterThan(0)
      expect(through.attempts).toBeLessThanOrEqual(CLIENTS * mostWithin(took))
      expect(through.attempts).toBeLessThan(ROOM)
      expect(through.most).toBe(1)
      expect(await turnedAway(healthy)).toBe(0)
    })
  },
)
