import { account } from './account.js'
import { Server, type ServerOptions } from './server.js'

/** A real `memcached`, of 16 MB; its `url` is the address as its clients take it. */
export function startMemcached({ args = [] }: ServerOptions = {}): Promise<Server> {
  return Server.start({
    part: 'memcached',
    as: account('nobody'),
    args: (_directory, port) => ['-l', '127.0.0.1', '-p', `${port}`, '-U', '0', '-m', '16', '-t', '1', ...args],
    question: 'stats\r\n',
    ready: (answer, pid) => answer.startsWith(`STAT pid ${pid}\r\n`),
    leave: 'SIGTERM',
    quit: 'SIGKILL',
    url: (port) => `127.0.0.1:${port}`,
  })
}
