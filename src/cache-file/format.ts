import { createHash } from 'node:crypto'
import { DUMP_FORMAT, type CacheDump, type CacheSource, type Taken } from '../core/dump.js'
import type { Generation } from './generations.js'
import { inSlices } from './slices.js'

/**
 * Lines of JSON: what the file is; of each operation a head and its entries, most recently used first; and at last a
 * checksum of all before. Whoever reads the first line knows what generation it is.
 */
export interface FileHead extends Generation {
  readonly cofferdam: 'cache'
  readonly format: number
  /** When it was made, wall time. */
  readonly at: number
}

/** The head of an operation's part. */
export type PartHead = Omit<CacheDump, 'entries'> & { readonly entries: number }

const MAGIC = Buffer.from('{"cofferdam":"cache","format":')
const LINE_END = 10
/** Of the checksum's line. */
const FOOT_LENGTH = JSON.stringify({ sha256: '0'.repeat(64) }).length + 1
/** Room for the first line and the last. */
const FRAME = 1_000
/** Written and hashed at a time, bytes. */
const BLOCK = 256 * 1_024

/** Whether it begins as a file of ours does, however far it goes on. An empty one might have become one. */
export function isOurs(start: Buffer): boolean {
  const length = Math.min(start.length, MAGIC.length)
  return start.compare(MAGIC, 0, length, 0, length) === 0
}

/** @returns undefined when it isn't all there, or of another format */
export function readHead(start: Buffer): FileHead | undefined {
  const end = start.indexOf(LINE_END)
  if (end === -1) return undefined
  try {
    const head = JSON.parse(start.toString('utf8', 0, end)) as FileHead
    const { format, date, entries, until } = head
    return format === DUMP_FORMAT && [date, entries, until].every(Number.isFinite) ? head : undefined
  } catch {
    return undefined
  }
}

export interface Encoded {
  readonly generation: Generation
  readonly blocks: readonly Buffer[]
}

/** What was taken of one operation. */
export interface Part {
  readonly source: CacheSource
  readonly taken: Taken
}

/**
 * Puts what was taken from caches into the form of a file, in slices.
 *
 * @param most bytes; where there is more, each operation has its share, and what was used least recently is left out
 */
export async function encode(parts: readonly Part[], date: number, at: number, most: number): Promise<Encoded> {
  let room = most - FRAME
  let until = -Infinity
  let entries = 0
  const body: Buffer[] = []
  // The smallest first: what it leaves of its share is the others'.
  const inOrder = [...parts].sort((a, b) => a.taken.entries.length - b.taken.entries.length)
  for (const [index, { source, taken }] of inOrder.entries()) {
    const head = (count: number, skipped: number): string =>
      `${JSON.stringify({ ...taken.head, entries: count, skipped } satisfies PartHead)}\n`
    const count = taken.entries.length
    const share = Math.floor(room / (inOrder.length - index)) - Buffer.byteLength(head(count, count))
    const lines = new Lines(share)
    let skipped = 0
    await inSlices(taken.entries, (entry) => {
      if (!source.carriable(entry.value)) skipped++
      else if (lines.add(`${JSON.stringify(entry)}\n`)) until = Math.max(until, entry.at + taken.staleFor)
    })
    const first = Buffer.from(head(lines.count, skipped))
    body.push(first, ...lines.blocks())
    entries += lines.count
    room -= first.length + lines.bytes
  }
  const generation = { date, entries, until: entries === 0 ? date : until }
  const head: FileHead = { cofferdam: 'cache', format: DUMP_FORMAT, at, ...generation }
  const blocks = [Buffer.from(`${JSON.stringify(head)}\n`), ...body]
  blocks.push(Buffer.from(footOf(await checksum(blocks))))
  if (blocks.reduce((sum, { length }) => sum + length, 0) > most) throw new Error(`more than maxBytes, ${most}`)
  return { generation, blocks }
}

/**
 * Whether all of it is there and as it was written.
 * @throws Error that says what is wrong
 */
export async function verify(file: Buffer): Promise<FileHead> {
  if (!isOurs(file)) throw new Error('is not a cache file')
  const head = readHead(file)
  const end = file.length - FOOT_LENGTH
  if (head === undefined && file.indexOf(LINE_END) !== -1) throw new Error('is of a format that is not known here')
  if (head === undefined || end <= 0) throw new Error('is torn')
  const blocks: Buffer[] = []
  for (let start = 0; start < end; start += BLOCK) blocks.push(file.subarray(start, Math.min(end, start + BLOCK)))
  if (footOf(await checksum(blocks)) !== file.toString('utf8', end)) throw new Error('is torn: its checksum is another')
  return head
}

/** The lines between the first and the last, as values. */
export function* readLines(file: Buffer): Generator {
  const last = file.length - FOOT_LENGTH
  for (let start = file.indexOf(LINE_END) + 1; start < last;) {
    const end = file.indexOf(LINE_END, start)
    yield JSON.parse(file.toString('utf8', start, end))
    start = end + 1
  }
}

const footOf = (sum: string): string => `${JSON.stringify({ sha256: sum })}\n`

async function checksum(blocks: readonly Buffer[]): Promise<string> {
  const hash = createHash('sha256')
  await inSlices(blocks, (block) => hash.update(block))
  return hash.digest('hex')
}

/** Lines that are put together into blocks, as many as there is room for. */
class Lines {
  count = 0
  bytes = 0
  readonly #room: number
  readonly #blocks: Buffer[] = []
  #open: string[] = []
  #openBytes = 0

  constructor(room: number) {
    this.#room = room
  }

  add(line: string): boolean {
    const bytes = Buffer.byteLength(line)
    if (this.bytes + bytes > this.#room) return false
    this.#open.push(line)
    this.#openBytes += bytes
    this.bytes += bytes
    this.count++
    if (this.#openBytes >= BLOCK) this.#close()
    return true
  }

  blocks(): readonly Buffer[] {
    if (this.#open.length > 0) this.#close()
    return this.#blocks
  }

  #close(): void {
    this.#blocks.push(Buffer.from(this.#open.join('')))
    this.#open = []
    this.#openBytes = 0
  }
}
