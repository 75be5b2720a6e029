import { once } from 'node:events'
import { request, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import type { Site } from './driver.js'

/** An answer, read to its end. */
export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  text: string
}

export interface AskOptions {
  method?: string
  headers?: Record<string, string>
  /** Sent as JSON. */
  body?: unknown
}

/** A request under way. */
export interface Asking {
  readonly request: ClientRequest
  /** Rejects when the connection ends first. */
  readonly answer: Promise<Answer>
  /** The client goes. */
  leave: () => void
}

/** Sends a request, on a connection of its own. */
export function ask(site: Site, path: string, { method, headers = {}, body }: AskOptions = {}): Asking {
  const sent = request({
    host: '127.0.0.1',
    port: site.port,
    path,
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
    agent: false,
  })
  const answer = once(sent, 'response').then(([response]) => read(response as IncomingMessage))
  answer.catch(() => undefined)
  sent.on('error', () => undefined)
  sent.end(body === undefined ? undefined : JSON.stringify(body))
  return { request: sent, answer, leave: () => void sent.destroy() }
}

/** Sends a request and reads its answer. */
export function fetched(site: Site, path: string, options?: AskOptions): Promise<Answer> {
  return ask(site, path, options).answer
}

async function read(response: IncomingMessage): Promise<Answer> {
  let text = ''
  response.setEncoding('utf8')
  for await (const chunk of response) text += chunk as string
  return { status: response.statusCode!, headers: response.headers, text }
}

/** A bare connection. */
export interface Wire {
  readonly socket: Socket
  /** What has come so far. */
  received: () => string
}

export async function wire(site: Site): Promise<Wire> {
  const socket = connect(site.port, '127.0.0.1')
  let text = ''
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => (text += chunk))
  socket.on('error', () => undefined)
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return { socket, received: () => text }
}

/** The head of a request, for a {@link Wire}. */
export function head(path: string, headers: Record<string, string | number> = {}, method = 'GET'): string {
  const lines = Object.entries({ host: '127.0.0.1', ...headers }).map(([name, value]) => `${name}: ${value}`)
  return `${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`
}
