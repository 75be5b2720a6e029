import { existsSync } from 'node:fs'
import memjs from 'memjs'
import { expect, it, onTestFinished } from 'vitest'
import { describeWith } from '../support/servers/describe-with.js'
import { alive } from '../support/servers/family.js'
import { startMemcached } from '../support/servers/memcached.js'
import type { Server } from '../support/servers/server.js'

async function memcached(): Promise<Server> {
  const server = await startMemcached()
  onTestFinished(() => server.stop())
  return server
}

function client(server: Server): memjs.Client {
  const made = memjs.Client.create(server.url, { retries: 0 })
  onTestFinished(() => made.close())
  return made
}

describeWith('memcached', 'a real memcached', () => {
  it('answers once it has started, and nothing of it is left once it is stopped', async () => {
    const server = await memcached()
    const { pid, directory } = server
    const one = client(server)
    await one.set('key', 'value', {})
    expect(String((await one.get('key')).value)).toBe('value')
    expect([alive(pid), existsSync(directory)]).toEqual([true, true])
    await server.stop()
    expect([alive(pid), existsSync(directory)]).toEqual([false, false])
  })

  it('is not the other one, and has forgotten all after a crash', async () => {
    const [one, other] = await Promise.all([memcached(), memcached()])
    expect(one.port).not.toBe(other.port)
    await client(one).set('key', 'value', {})
    expect((await client(other).get('key')).value).toBeNull()
    const { port } = one
    await one.kill()
    await one.restart()
    expect(one.port).toBe(port)
    expect((await client(one).get('key')).value).toBeNull()
  })
})
