import type { Response } from 'express'

type Method = (this: Response, ...args: unknown[]) => unknown

/**
 * For a response that the guard itself has answered at its deadline: what the handler sends later is dropped. Node
 * throws at a second answer. From a callback (`db.query(sql, (_, rows) => res.json(rows))`) that ended the process; from
 * a promise, Express destroyed the connection, with the next request on it.
 */
export function ignoreLate(response: Response): void {
  // Not before it has really gone out: sessions and compression send later than `end` is called.
  const headersSent = (): boolean => response.headersSent
  const ended = (): boolean => response.writableEnded
  override(response, ['setHeader', 'appendHeader', 'removeHeader', 'writeHead'], headersSent, response)
  override(response, ['write'], ended, true)
  override(response, ['end'], ended, response)
}

function override(response: Response, names: string[], late: () => boolean, answer: unknown): void {
  const methods = response as unknown as Record<string, Method | undefined>
  for (const name of names) {
    const original = methods[name]
    if (original !== undefined)
      methods[name] = function (...args) {
        return late() ? answer : original.apply(this, args)
      }
  }
}
