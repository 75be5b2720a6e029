import { Pool } from 'pg'
import { startPostgres } from '../../../../test/support/servers/postgres.js'
import type { Server } from '../../../../test/support/servers/server.js'
import { Started } from '../../replay/started.js'
import { Replication } from './replication.js'
import { createBackup, createMaster } from './sequences.js'
import { createShards } from './tables.js'

/** What one site has of the three servers: databases of its own. */
export interface SiteDatabases {
  /** What the users write. */
  readonly shards: Pool
  readonly master: Pool
  readonly backup: Pool
  /** Where ids are asked for: the address moves, the code doesn't notice. */
  readonly ids: () => Pool
}

/** A server for the users' shards, one that gives ids out, and that one's backup; the same servers for all sites. */
export class Databases {
  readonly #started = new Started()
  readonly #replications: Replication[] = []
  #servers: readonly Server[] = []
  #swapped = false

  async start(): Promise<void> {
    const starting = [1, 2, 3].map(async () => this.#started.add(await startPostgres()))
    // All of them are there to be stopped before one that failed is told of.
    await Promise.allSettled(starting)
    this.#servers = await Promise.all(starting)
  }

  /** @param from where its sequence begins, on master and backup alike */
  async forSite(name: string, from: number): Promise<SiteDatabases> {
    const [shards, master, backup] = (await Promise.all(
      this.#servers.map((server) => this.#database(server, name)),
    )) as [Pool, Pool, Pool]
    await Promise.all([createShards(shards), createMaster(master, from), createBackup(backup, from)])
    this.#replications.push(this.#started.add(new Replication(master, backup)))
    return { shards, master, backup, ids: () => (this.#swapped ? backup : master) }
  }

  loseIncrements(): void {
    for (const replication of this.#replications) replication.lossy = true
  }

  /** Routine maintenance: the backup takes the master's place, and the master is gone. */
  async swap(): Promise<void> {
    await Promise.all(this.#replications.map((replication) => replication.stop()))
    this.#swapped = true
    await this.#servers[1]!.kill('SIGINT')
  }

  stop(): Promise<void> {
    return this.#started.stop()
  }

  async #database(server: Server, name: string): Promise<Pool> {
    const first = new Pool({ connectionString: server.url, max: 1 })
    await first.query(`create database ${name}`)
    await first.end()
    const pool = new Pool({ connectionString: server.url.replace(/postgres$/, name), max: 10 })
    // A connection that is idle when its server goes.
    pool.on('error', () => undefined)
    this.#started.add({ stop: () => pool.end() })
    return pool
  }
}
