import { fn, group, parse } from '../core/options.js'
import {
  define,
  remembering,
  type Identity,
  type InBandOptions,
  type Read,
  type RememberingOptions,
} from './invariant-definition.js'

const schema = group(remembering)

/**
 * Who answers: a run id or a system identifier, a string, number or bigint. Another than the first that was seen means
 * that another server answers. With `of` it can also check an operation's results.
 *
 * @throws OptionError (`ERR_OPTION`)
 * @example
 * identity('system', async () => (await sql`select system_identifier from pg_control_system()`)[0].system_identifier)
 */
export function identity<R = never>(
  name: string,
  read: Read<string | number | bigint>,
  options: RememberingOptions & InBandOptions<R> = {},
): Identity<R> {
  const given = parse(schema, options, 'identity')
  const parsed = parse(fn<Read<string | number | bigint>>(), read, 'identity.read')
  return define('identity', 'identity', name, { ...given, read: parsed, store: given.store, of: options.of })
}
