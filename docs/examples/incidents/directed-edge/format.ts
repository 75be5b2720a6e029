import type { FileHandle } from 'node:fs/promises'
import { crc32 } from 'node:zlib'

export interface Place {
  offset: number
  length: number
}

export interface RecordFound extends Place {
  id: number
  text: string
}

/** Before each record: a mark, its id, the length of its text and a checksum. */
export const HEAD = 16
const RECORD_MARK = 0x5ec0_7d01
const INDEX_MARK = 0x1dec_0001
/** The most that a database holds. */
const SLOTS = 4_096
const SLOT = 8

export function encode(id: number, text: string): Buffer {
  const body = Buffer.from(text)
  const head = Buffer.alloc(HEAD)
  head.writeUInt32BE(RECORD_MARK, 0)
  head.writeUInt32BE(id, 4)
  head.writeUInt32BE(body.length, 8)
  head.writeUInt32BE(crc32(body), 12)
  return Buffer.concat([head, body])
}

/** @returns undefined when no whole record lies there */
export function decode(bytes: Buffer, offset: number): RecordFound | undefined {
  if (bytes.length < offset + HEAD || bytes.readUInt32BE(offset) !== RECORD_MARK) return undefined
  const size = bytes.readUInt32BE(offset + 8)
  const body = bytes.subarray(offset + HEAD, offset + HEAD + size)
  if (body.length < size || crc32(body) !== bytes.readUInt32BE(offset + 12)) return undefined
  return { id: bytes.readUInt32BE(offset + 4), offset, length: HEAD + size, text: body.toString() }
}

/** All records that are whole, in the order in which they lie there. */
export function* recordsIn(bytes: Buffer): Generator<RecordFound> {
  for (let offset = 0; offset < bytes.length;) {
    const record = decode(bytes, offset)
    if (record !== undefined) yield record
    offset += record?.length ?? 1
  }
}

/** The index, a slot for each record; a length of 0 = there is none. */
export const places = {
  async check(index: FileHandle): Promise<void> {
    const mark = Buffer.alloc(4)
    await index.read(mark, 0, 4, 0)
    if (mark.readUInt32BE(0) !== INDEX_MARK) throw new Error('the index is corrupt: it has no mark')
  },

  async read(index: FileHandle, id: number): Promise<Place | undefined> {
    await places.check(index)
    const slot = Buffer.alloc(SLOT)
    await index.read(slot, 0, SLOT, slotOf(id))
    const place = { offset: slot.readUInt32BE(0), length: slot.readUInt32BE(4) }
    return place.length === 0 ? undefined : place
  },

  async write(index: FileHandle, id: number, place: Place): Promise<void> {
    await index.write(slotFor(place), 0, SLOT, slotOf(id))
  },
}

/** A whole index. */
export function indexOf(all: ReadonlyMap<number, Place>): Buffer {
  const index = Buffer.alloc(slotOf(SLOTS))
  index.writeUInt32BE(INDEX_MARK, 0)
  for (const [id, place] of all) slotFor(place).copy(index, slotOf(id))
  return index
}

const slotOf = (id: number): number => (id + 1) * SLOT

function slotFor({ offset, length }: Place): Buffer {
  const slot = Buffer.alloc(SLOT)
  slot.writeUInt32BE(offset, 0)
  slot.writeUInt32BE(length, 4)
  return slot
}
