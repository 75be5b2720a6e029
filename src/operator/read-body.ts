import { Readable } from 'node:stream'
import { bound } from '../core/bound.js'
import type { Clock } from '../core/clock.js'
import { Refused } from './refused.js'

/** Bytes: an action is a few short fields. */
const MOST = 16_384
/** How long one may take to come, ms. */
const WITHIN = 10_000

const large = (): Refused => new Refused(413, `the body is larger than ${MOST} bytes`)

/**
 * The JSON of a request, within bounds of size and time.
 *
 * @param body the stream that nobody has read, or what a body parser has made of it
 */
export async function readBody(clock: Clock, body: unknown): Promise<unknown> {
  const given = body instanceof Readable ? await drink(clock, body) : body
  if (typeof given === 'string' || Buffer.isBuffer(given)) return decode(given)
  // What was parsed was read under the parser's own limit, which is for all of the app.
  if (given !== undefined && JSON.stringify(given).length > MOST) throw large()
  return given
}

function decode(given: string | Buffer): unknown {
  if (given.length > MOST) throw large()
  try {
    return JSON.parse(given.toString()) as unknown
  } catch {
    throw new Refused(400, 'the body is not JSON')
  }
}

/** Not by `for await`, which destroys the connection when it stops early: the refusal would never arrive. */
function drink(clock: Clock, source: Readable): Promise<Buffer> {
  const read = new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const broken = (): void => {
      reject(new Refused(400, 'the body has broken off'))
    }
    source.on('data', (chunk: Buffer | string) => {
      size += Buffer.byteLength(chunk)
      if (size > MOST) reject(large())
      else chunks.push(Buffer.from(chunk as Buffer))
    })
    source.once('end', () => {
      resolve(Buffer.concat(chunks))
    })
    source.once('error', broken)
    source.once('close', broken)
    if (source.destroyed) broken()
  })
  return bound(clock, read, WITHIN, () => {
    throw new Refused(408, `the body did not come within ${WITHIN} ms`)
  })
}
