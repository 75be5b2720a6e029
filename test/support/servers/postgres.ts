import { execFile, execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { account } from './account.js'
import { Server, type Place, type ServerOptions } from './server.js'

const run = promisify(execFile)

/** A real PostgreSQL, with a user and a database `postgres`; `args` are as in `-c max_connections=20`. */
export function startPostgres({ args = [] }: ServerOptions = {}): Promise<Server> {
  return Server.start({
    part: 'postgres',
    as: account('postgres', 'nobody'),
    prepare: createCluster,
    args: (directory, port) => ['-D', data(directory), '-h', '127.0.0.1', '-p', `${port}`, ...settings, ...args],
    question: greeting,
    ready: (answer, pid, directory) => {
      const file = pidFile(directory)
      return answer.startsWith('R') && file[0] === `${pid}` && file[7]?.trim() === 'ready'
    },
    leave: 'SIGINT',
    quit: 'SIGQUIT',
    tidy: removeSharedMemory,
    url: (port) => `postgres://postgres@127.0.0.1:${port}/postgres`,
  })
}

const settings = [
  // What was committed outlives a crash of the server, not one of the machine.
  'fsync=off',
  'shared_buffers=16MB',
  'unix_socket_directories=',
  // In its directory, which goes, and not in /dev/shm, where a crash leaves it.
  'dynamic_shared_memory_type=mmap',
].flatMap((one) => ['-c', one])

// The start-up message of protocol 3.0; an R is the answer to one that is let in.
const parameters = '\0\x03\0\0user\0postgres\0database\0postgres\0\0'
const greeting = `\0\0\0${String.fromCharCode(parameters.length + 4)}${parameters}`

const data = (directory: string): string => join(directory, 'data')

async function createCluster({ program, directory, as }: Place): Promise<void> {
  const args = ['-D', data(directory), '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync']
  await run(join(dirname(program), 'initdb'), args, {
    cwd: directory,
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
    timeout: 60_000,
    ...as,
  })
}

/** Its lines, see "postmaster.pid" in PostgreSQL's documentation; none when the server ended in good order. */
function pidFile(directory: string): string[] {
  try {
    return readFileSync(join(data(directory), 'postmaster.pid'), 'utf8').split('\n')
  } catch {
    return []
  }
}

/** A few bytes by which it knows that no other works on its data. They are the system's, and outlive a crash. */
function removeSharedMemory(directory: string): void {
  const id = pidFile(directory)[6]?.trim().split(/\s+/)[1]
  if (id === undefined) return
  try {
    execFileSync('ipcrm', ['-m', id], { stdio: 'ignore' })
  } catch {
    // The next one on this data would have removed them; nothing depends on it.
  }
}
