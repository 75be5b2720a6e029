import { ClosedError, DrainError, OptionError } from '../core/errors.js'

/** What an operator is told. */
export interface OperatorAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: { readonly ok: boolean; readonly error?: string } & Readonly<Record<string, unknown>>
}

/** Why a request of an operator's isn't followed, in words that he may read. */
export class Refused extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** @returns undefined when the error isn't for anybody's eyes */
export function refusalBody(error: unknown): { status: number; error: string; more?: object } | undefined {
  if (error instanceof Refused) return { status: error.status, error: error.message }
  if (error instanceof OptionError) return { status: 400, error: error.message, more: { option: error.path } }
  if (error instanceof DrainError) return { status: 409, error: error.message, more: { held: error.held } }
  if (error instanceof ClosedError) return { status: 503, error: error.message }
  return undefined
}
