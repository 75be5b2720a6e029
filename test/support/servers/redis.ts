import { account } from './account.js'
import { Server, type ServerOptions } from './server.js'

/** A real `redis-server`. It keeps nothing over a restart, unless `args` say `--appendonly yes`, say. */
export function startRedis({ args = [] }: ServerOptions = {}): Promise<Server> {
  const address = (port: number): string[] => ['--bind', '127.0.0.1', '--port', `${port}`]
  return Server.start({
    part: 'redis',
    as: account('nobody'),
    args: (directory, port) => [...address(port), '--dir', directory, '--save', '', ...args],
    question: 'INFO server\r\nPING\r\n',
    // With a password it tells nobody who it is.
    ready: (answer, pid) =>
      (answer.includes(`process_id:${pid}\r\n`) && answer.includes('+PONG')) || answer.startsWith('-NOAUTH'),
    leave: 'SIGTERM',
    quit: 'SIGKILL',
    url: (port) => `redis://127.0.0.1:${port}`,
  })
}
