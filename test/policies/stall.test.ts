import { Agent, get } from 'node:http'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRegistry, type Dependency, type Wrapped } from '../../src/index.js'

/** Answers every request after 50 ms, and says so when it has 50. In a thread of its own: our stall must not be its. */
const server = `
  const { createServer } = require('node:http')
  const { parentPort } = require('node:worker_threads')
  let requests = 0
  const server = createServer((request, response) => {
    if (request.url === '/warm') return void response.end('ok')
    if (++requests % 50 === 0) parentPort.postMessage('all here')
    setTimeout(() => response.end('ok'), 50)
  })
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
`
const calls = 50
const timeout = 300

let worker: Worker
let port: number
const agent = new Agent({ keepAlive: true, maxSockets: calls })

const message = (): Promise<unknown> => new Promise((resolve) => worker.once('message', resolve))

beforeAll(async () => {
  worker = new Worker(server, { eval: true })
  port = (await message()) as number
  await Promise.all(Array.from({ length: calls }, () => fetchText('/warm')))
})

afterAll(async () => {
  agent.destroy()
  await worker.terminate()
})

function fetchText(path: string, signal?: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, agent, ...(signal === undefined ? {} : { signal }) }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('end', () => {
        resolve(text)
      })
    }).on('error', reject)
  })
}

/** The event loop does nothing else until then. */
function blockUntil(instant: number): void {
  while (performance.now() < instant);
}

interface Counted {
  dependency: Dependency
  flips: unknown[]
  load: Wrapped<[], unknown>
}

function counted(operation: (signal: AbortSignal) => Promise<unknown>): Counted {
  const registry = createRegistry()
  const dependency = registry.dependency('upstream', { timeout, bulkhead: { slots: calls } })
  const flips: unknown[] = []
  registry.on('flip', (flip) => flips.push(flip))
  return { dependency, flips, load: dependency.wrap(({ signal }) => operation(signal)) }
}

function expectNobodyBlamed({ dependency, flips }: Counted, results: PromiseSettledResult<unknown>[]): void {
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(calls)
  expect(dependency.health()).toMatchObject({
    mode: 'available',
    window: { failures: 0, slow: 0 },
    counts: { successes: calls, timeouts: 0, failures: 0 },
  })
  expect(flips).toEqual([])
}

// The second is over just after the timeout, before any timer could be called late.
describe.each([1_000, timeout + 8])('when the event loop is blocked for %i ms', (blocked) => {
  it('50 calls whose answers take 50 ms over HTTP bring 50 answers, no timeout and no flip', async () => {
    const made = counted((signal) => fetchText('/', signal))
    const allHere = message()
    const began = performance.now()
    const results = Promise.allSettled(Array.from({ length: calls }, () => made.load()))
    await allHere
    blockUntil(began + blocked)
    expectNobodyBlamed(made, await results)
  })

  it('50 calls that wait 50 ms for a timer bring 50 answers, no timeout and no flip', async () => {
    const made = counted(() => sleep(50))
    const began = performance.now()
    const results = Promise.allSettled(Array.from({ length: calls }, () => made.load()))
    blockUntil(began + blocked)
    expectNobodyBlamed(made, await results)
  })
})

it('calls that hang are timed out after a stall as ever', async () => {
  const { dependency, load } = counted(() => new Promise(() => undefined))
  const results = Promise.allSettled([load(), load()])
  blockUntil(performance.now() + 1_000)
  expect((await results).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(dependency.health().counts).toMatchObject({ timeouts: 2 })
})
