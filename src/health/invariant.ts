import { fn, group, parse } from '../core/options.js'
import { define, polling, type Check, type InvariantOptions, type Read } from './invariant-definition.js'

const schema = group(polling)

/**
 * Any other check: `true` = holds, `false` = violated. When it throws, or gives anything else, the question is open: that
 * is reported and decides nothing.
 *
 * @throws OptionError (`ERR_OPTION`)
 * @example
 * invariant('not read-only', async () => !(await isInRecovery()))
 */
export function invariant(name: string, check: Read<boolean>, options: InvariantOptions = {}): Check {
  const given = parse(schema, options, 'invariant')
  return define('check', 'invariant', name, { ...given, check: parse(fn<Read<boolean>>(), check, 'invariant.check') })
}
