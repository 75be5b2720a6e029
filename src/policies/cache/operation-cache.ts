import { CACHES } from '../../core/dump.js'
import type { PolicyHost } from '../../core/policy.js'
import type { OperationCache } from '../../core/wrapped.js'
import type { CallKeys } from './call-keys.js'
import type { Deleting } from './deleting.js'
import type { Dumps } from './dumps.js'
import type { Serving } from './serving.js'

/** What people reach of it: an operation's `cache`. */
export function operationCache(
  { clock, background, report }: PolicyHost,
  keys: CallKeys,
  serving: Serving,
  deleting: Deleting,
  dumps: Dumps,
): OperationCache<unknown[]> {
  return {
    delete: (...args) => {
      const key = keys.of(args)
      return key !== undefined && deleting.delete(key)
    },
    expire: (...args) => {
      const key = keys.of(args)
      return key !== undefined && deleting.expire(key)
    },
    clear: () => {
      deleting.clear()
    },
    counts: () => ({ ...serving.counts }),
    ages: () => serving.ages,
    dump: (options) => dumps.dump(options),
    load: (dump) => dumps.load(dump),
    [CACHES]: { clock, background, sources: () => [dumps], report },
  }
}
