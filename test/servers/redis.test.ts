import { existsSync } from 'node:fs'
import { createClient } from 'redis'
import { expect, it, onTestFinished } from 'vitest'
import { describeWith } from '../support/servers/describe-with.js'
import { alive } from '../support/servers/family.js'
import { startRedis } from '../support/servers/redis.js'
import type { Server, ServerOptions } from '../support/servers/server.js'

async function redis(options?: ServerOptions): Promise<Server> {
  const server = await startRedis(options)
  onTestFinished(() => server.stop())
  return server
}

async function client(server: Server): Promise<ReturnType<typeof createClient>> {
  const made = createClient({ url: server.url, socket: { reconnectStrategy: false } })
  made.on('error', () => undefined)
  await made.connect()
  onTestFinished(() => {
    if (made.isOpen) made.destroy()
  })
  return made
}

describeWith('redis', 'a real redis-server', () => {
  it('answers once it has started, and nothing of it is left once it is stopped', async () => {
    const server = await redis()
    const { pid, directory } = server
    const one = await client(server)
    await one.set('key', 'value')
    expect(await one.get('key')).toBe('value')
    expect([alive(pid), existsSync(directory)]).toEqual([true, true])
    await server.stop()
    expect([alive(pid), existsSync(directory)]).toEqual([false, false])
  })

  it('is not the other one', async () => {
    const [one, other] = await Promise.all([redis(), redis()])
    expect(one.port).not.toBe(other.port)
    await (await client(one)).set('key', 'value')
    expect(await (await client(other)).get('key')).toBeNull()
  })

  it('comes back from a crash on the same port, with what it was told to keep', async () => {
    const server = await redis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
    const { pid, port } = server
    await (await client(server)).set('key', 'value')
    await server.kill()
    expect(alive(pid)).toBe(false)
    await expect(client(server)).rejects.toThrow('ECONNREFUSED')
    await server.restart()
    expect([server.port, server.pid === pid]).toEqual([port, false])
    expect(await (await client(server)).get('key')).toBe('value')
  })

  it('keeps nothing over a restart otherwise', async () => {
    const server = await redis()
    await (await client(server)).set('key', 'value')
    await server.restart()
    expect(await (await client(server)).get('key')).toBeNull()
  })

  it('says nothing while it is paused, and all of it when it goes on', async () => {
    const server = await redis()
    const one = await client(server)
    server.pause()
    let said = false
    const pong = one.ping().finally(() => (said = true))
    // A second server answers meanwhile: the first has had its chance.
    await (await client(await redis())).ping()
    expect(said).toBe(false)
    server.resume()
    expect(await pong).toBe('PONG')
  })

  it('can be stopped while it is paused', async () => {
    const server = await redis()
    server.pause()
    await server.stop()
    expect(alive(server.pid)).toBe(false)
  })

  it('says why it did not start, and leaves nothing', async () => {
    await expect(startRedis({ args: ['--no-such-option', 'yes'] })).rejects.toThrow(/did not start:[^]*no-such-option/)
  })
})
