import type { RequestListener } from 'node:http'

/** What an instance answered. */
export interface Passed {
  instance: string
  status: number
  body: string
}

/** Sends each page to one of several instances. */
export interface Balancer {
  /** A new instance, which listens. */
  add: (name: string, url: string) => Promise<void>
  answer: (path: string) => Promise<Passed>
  stop: () => Promise<void>
}

/** How long an instance may take, ms. */
export const patience = 5_000

export async function pass(instance: string, url: string, signal: AbortSignal): Promise<Passed> {
  const response = await fetch(url, { signal })
  return { instance, status: response.status, body: await response.text() }
}

/** In turn, and to the next one where no answer comes. One that listens is one that can be sent pages to. */
export function plainBalancer(): Balancer {
  const instances: [name: string, url: string][] = []
  let turn = 0
  return {
    async add(name, url) {
      instances.push([name, url])
    },
    async answer(path) {
      for (const [name, url] of inTurn(instances, turn++)) {
        const answer = await pass(name, `${url}${path}`, AbortSignal.timeout(patience)).catch(() => undefined)
        if (answer !== undefined) return answer
      }
      return nobody
    },
    stop: async () => undefined,
  }
}

/** All of them, from another one on each time. */
export const inTurn = <T>(all: readonly T[], turn: number): T[] => {
  const first = turn % Math.max(1, all.length)
  return [...all.slice(first), ...all.slice(0, first)]
}

export const nobody: Passed = { instance: 'none', status: 503, body: '' }

/** The header that tells which instance it was. */
export const instanceHeader = 'x-instance'

export const listenerOf =
  ({ answer }: Balancer): RequestListener =>
  (request, response) => {
    void answer(request.url ?? '/').then(({ instance, status, body }) => {
      response.writeHead(status, { [instanceHeader]: instance }).end(body)
    })
  }
