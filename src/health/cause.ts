/** What decided a change: rule 22's precedence, highest first, as far as there is one of each yet. */
export type CauseKind = 'closed' | 'operator' | 'traffic'

/** Why a mode changed. Says nothing private. */
export interface Cause {
  kind: CauseKind
  reason: string
  by?: string
}

/** What an operator did. */
export function operator(reason: string, by?: string): Cause {
  return by === undefined ? { kind: 'operator', reason } : { kind: 'operator', reason, by }
}
