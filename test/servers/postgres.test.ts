import { existsSync, readFileSync } from 'node:fs'
import { Client } from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { describeWith } from '../support/servers/describe-with.js'
import { alive, descendants } from '../support/servers/family.js'
import { startPostgres } from '../support/servers/postgres.js'
import type { Server, ServerOptions } from '../support/servers/server.js'

async function postgres(options?: ServerOptions): Promise<Server> {
  const server = await startPostgres(options)
  onTestFinished(() => server.stop())
  return server
}

async function client(server: Server): Promise<Client> {
  const made = new Client({ connectionString: server.url })
  made.on('error', () => undefined)
  await made.connect()
  onTestFinished(() => made.end())
  return made
}

const number = async (one: Client, sql: string): Promise<number> =>
  Number((await one.query<{ n: unknown }>(`select ${sql} as n`)).rows[0]!.n)

/** The ids of all shared memory of System V. */
const segments = (): number[] =>
  readFileSync('/proc/sysvipc/shm', 'utf8')
    .split('\n')
    .map((line) => Number(line.trim().split(/\s+/)[1]))

describeWith('postgres', 'a real PostgreSQL', () => {
  it('answers once it has started, and nothing of it is left once it is stopped', async () => {
    const server = await postgres({ args: ['-c', 'max_connections=7'] })
    const { directory } = server
    const one = await client(server)
    expect(await number(one, `current_setting('max_connections')`)).toBe(7)
    const all = [server.pid, ...descendants(server.pid)]
    expect(all.length).toBeGreaterThan(1)
    await server.stop()
    expect([all.filter(alive), existsSync(directory)]).toEqual([[], false])
  })

  it('is not the other one', async () => {
    const [one, other] = await Promise.all([postgres(), postgres()])
    expect(one.port).not.toBe(other.port)
    await (await client(one)).query('create table here ()')
    expect(await number(await client(other), `(select count(*) from pg_tables where tablename = 'here')`)).toBe(0)
  })

  it('comes back from a crash on the same port, with what was committed', async () => {
    const server = await postgres()
    const { pid, port } = server
    const one = await client(server)
    await one.query('create table kept as select 42 as n')
    const ended = new Promise<void>((resolve) => one.once('end', resolve))
    const all = [pid, ...descendants(pid)]
    await server.kill()
    expect(all.filter(alive)).toEqual([])
    await ended
    await server.restart()
    expect([server.port, server.pid === pid]).toEqual([port, false])
    expect(await number(await client(server), `(select n from kept)`)).toBe(42)
  })

  it('leaves no shared memory behind, though it crashed', async () => {
    const server = await postgres()
    // The seventh line has the key and the id.
    const lines = readFileSync(`${server.directory}/data/postmaster.pid`, 'utf8').split('\n')
    const id = Number(lines[6]!.trim().split(/\s+/)[1])
    expect(segments()).toContain(id)
    await server.kill()
    await server.stop()
    expect(segments()).not.toContain(id)
  })

  it('restarts in good order, though somebody is connected', async () => {
    const server = await postgres()
    const one = await client(server)
    await one.query('create table kept as select 42 as n')
    await server.restart()
    expect(await number(await client(server), `(select n from kept)`)).toBe(42)
  })

  it('hangs while it is paused, also for those who are connected', async () => {
    const [server, other] = await Promise.all([postgres(), postgres()])
    const one = await client(server)
    server.pause()
    let said = false
    const answer = number(one, '1').finally(() => (said = true))
    expect(await number(await client(other), '1')).toBe(1)
    expect(said).toBe(false)
    server.resume()
    expect(await answer).toBe(1)
  })
})
