import { describe, inject, it } from 'vitest'
import { locate, type Part } from './parts.js'
import { skippedTitle } from './skipped.js'

/**
 * A suite on a real part, which is installed before it where that is allowed. Where the part can't be had, the suite
 * is skipped and says why; in CI that is a failure.
 *
 * It is installed for test files that name it in this call, in quotes.
 */
export function describeWith(part: Part, title: string, body: () => void): void {
  const reason = inject('missing')[part] ?? `${part} is not installed`
  describeUnless(locate(part) === undefined ? reason : undefined, title, body)
}

/** A suite, unless there is a reason against it. */
export function describeUnless(reason: string | undefined, title: string, body: () => void): void {
  if (reason === undefined) describe(title, body)
  else if (process.env['CI'] !== 'true') describe.skip(skippedTitle(title, reason), body)
  else
    describe(title, () => {
      it('has what it needs', () => {
        throw new Error(reason)
      })
    })
}
