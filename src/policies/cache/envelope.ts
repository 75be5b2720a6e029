import type { Version } from './version.js'

/** Another number when what is written here changes: an older or newer process must not misread it. */
const FORMAT = 1

/** How far ahead of our own clock another machine's may be, ms; a stamp beyond is not believed. */
const MOST_AHEAD = 10_000

/** A value as it lies in the second level, or (`gone`) the word that whatever began at or before `start` is deleted. */
export interface Envelope {
  readonly v: typeof FORMAT
  /** The process that wrote it. */
  readonly writer: string
  /** Wall time of the start of the call that produced the value: its age counts from there, whoever reads it. */
  readonly start: number
  readonly value?: unknown
  /** The value is `undefined`, which JSON would leave out. */
  readonly none?: true
  readonly version?: Written
  /** Fresh no longer, whatever its age. */
  readonly expired?: true
  /** How often the one who keeps it warm does so, ms. */
  readonly every?: number
  readonly gone?: true
}

/** A version that survives JSON. */
type Written = { n: number } | { b: string } | { s: string } | { d: number }

/** What one says that is ours and whole. */
export interface Found {
  readonly start: number
  readonly gone: boolean
  readonly value: unknown
  readonly version: Version | undefined
  readonly expired: boolean
  readonly every: number | undefined
  readonly writer: string
}

export interface Kept {
  readonly start: number
  readonly value: unknown
  readonly version: Version | undefined
  readonly expired: boolean
  readonly every?: number | undefined
}

export function wrap(writer: string, { start, value, version, expired, every }: Kept): Envelope {
  return {
    v: FORMAT,
    writer,
    start,
    ...(value === undefined ? { none: true } : { value }),
    ...(version === undefined ? {} : { version: write(version) }),
    ...(expired ? { expired } : {}),
    ...(every === undefined ? {} : { every }),
  }
}

export const tombstone = (writer: string, start: number): Envelope => ({ v: FORMAT, writer, start, gone: true })

/**
 * @param now by shared time; what is from far ahead of it was written by a clock that is wrong, or was before ours was set
 * @returns undefined for anything but an envelope of ours, whole and of this format
 */
export function unwrap(raw: unknown, now: number): Found | undefined {
  if (typeof raw !== 'object' || raw === null) return undefined
  const { v, writer, start, gone, none, value, version, expired, every } = raw as Partial<Envelope>
  if (v !== FORMAT || typeof writer !== 'string') return undefined
  if (typeof start !== 'number' || !(start <= now + MOST_AHEAD)) return undefined
  // A function or a symbol as value has left nothing behind.
  if (gone !== true && none !== true && !('value' in raw)) return undefined
  const read = version === undefined ? undefined : parse(version)
  if (version !== undefined && read === undefined) return undefined
  return {
    start,
    gone: gone === true,
    value: none === true ? undefined : value,
    version: read,
    expired: expired === true,
    every: typeof every === 'number' && every > 0 ? every : undefined,
    writer,
  }
}

function write(version: Version): Written {
  if (typeof version === 'number') return { n: version }
  if (typeof version === 'bigint') return { b: String(version) }
  return typeof version === 'string' ? { s: version } : { d: version.getTime() }
}

function parse(written: unknown): Version | undefined {
  if (typeof written !== 'object' || written === null) return undefined
  const { n, b, s, d } = written as Record<string, unknown>
  if (typeof n === 'number') return n
  if (typeof b === 'string' && /^-?\d+$/.test(b)) return BigInt(b)
  if (typeof s === 'string') return s
  // eslint-disable-next-line no-restricted-syntax -- the date that was written, not the one it is
  return typeof d === 'number' ? new Date(d) : undefined
}
