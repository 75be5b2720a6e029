import * as v from 'valibot'
import { group } from '../core/options.js'
import type { Rank } from '../core/comparable.js'

/** Something that was seen: a place in an order, or an identity. */
export type Token = Rank | { readonly kind: 'string'; readonly at: string }

/** What is remembered of an invariant. */
export interface Kept<T extends Token> {
  /** Counts the baselines that operators have accepted; what belongs to a lower one is void, here and in other processes. */
  readonly epoch: number
  /** It was handed out to a caller, and not only seen: nobody else may get it. */
  readonly given: boolean
  readonly token: T | undefined
}

const schema = v.pipe(
  v.string(),
  v.parseJson(),
  group({
    epoch: v.pipe(v.number(), v.safeInteger()),
    given: v.boolean(),
    token: v.optional(
      group({ kind: v.picklist(['number', 'bigint', 'Date', 'digits', 'LSN', 'string']), at: v.string() }),
    ),
  }),
)

/** As a text that keeps what JSON would lose. */
export function encode({ epoch, given, token }: Kept<Token>): string {
  return JSON.stringify({ epoch, given, token: token && { kind: token.kind, at: String(token.at) } })
}

/** @throws Error when it isn't such a text, or one of another kind of invariant; without the text, which may be private */
export function decode<T extends Token>(text: unknown, fits: (token: Token) => token is T): Kept<T> {
  const parsed = v.safeParse(schema, text)
  if (parsed.success) {
    const { epoch, given, token } = parsed.output
    if (token === undefined) return { epoch, given, token }
    const read = tokenOf(token.kind, token.at)
    if (read !== undefined && fits(read)) return { epoch, given, token: read }
  }
  throw new Error('the store holds something that is no value of this invariant')
}

function tokenOf(kind: Token['kind'], at: string): Token | undefined {
  if (kind === 'string') return { kind, at }
  if (kind === 'number' || kind === 'Date')
    return at !== '' && Number.isFinite(Number(at)) ? { kind, at: Number(at) } : undefined
  return /^-?\d+$/.test(at) ? { kind, at: BigInt(at) } : undefined
}
