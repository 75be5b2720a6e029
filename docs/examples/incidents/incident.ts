import type { Recording } from '../replay/recording.js'
import type { Part } from '../../../test/support/servers/parts.js'

/** An outage that really happened, and can be played again. */
export interface Incident {
  /** Also the name of its page and of its picture. */
  readonly name: string
  readonly title: string
  /** The servers that it starts for itself. */
  readonly parts: readonly Part[]
  readonly play: (print: Print) => Promise<Replay>
}

export type Print = (line: string) => void

/** What came of one playing. */
export interface Replay {
  /** One for each variant, under the same load. */
  readonly recordings: readonly Recording[]
  /** What a visitor comes for, a second, and in words for the picture: “Good pages a second”. */
  readonly perSecond: number
  readonly counted: string
  /** Before and after. */
  readonly measures: readonly Measure[]
  /** That the unguarded half failed, and that the guarded one did not. */
  readonly claims: readonly Claim[]
}

/** A line of the table: what was measured, for each variant that it says something of. */
export interface Measure {
  readonly what: string
  readonly values: Readonly<Record<string, string>>
}

export interface Claim {
  /** With the figure: “guarded: 99.8 % good pages while the table is locked (at least 99)”. */
  readonly says: string
  readonly holds: boolean
}
