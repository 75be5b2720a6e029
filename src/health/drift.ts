import * as v from 'valibot'
import { fn, group, parse } from '../core/options.js'
import type { Comparable } from '../core/comparable.js'
import { define, polling, type Drift, type InvariantOptions, type Read } from './invariant-definition.js'

const schema = group({
  ...polling,
  atMost: v.custom<number>(
    (given) => typeof given === 'number' && given >= 0 && Number.isFinite(given),
    'must be a finite number, 0 or more',
  ),
})

/**
 * Two sources that must not be further apart than `atMost`: a sequence on a master and on its backup, two clocks.
 * Read at the same time; `atMost` is in the values' own unit, ms for a `Date` and bytes for an LSN, and must leave room
 * for what changes while they are read.
 *
 * @throws OptionError (`ERR_OPTION`)
 * @example
 * drift('order ids', readMaster, readBackup, { atMost: 100 })
 */
export function drift(
  name: string,
  a: Read<Comparable>,
  b: Read<Comparable>,
  options: InvariantOptions & { atMost: number },
): Drift {
  const given = parse(schema, options, 'drift')
  const read = fn<Read<Comparable>>()
  return define('drift', 'drift', name, { ...given, a: parse(read, a, 'drift.a'), b: parse(read, b, 'drift.b') })
}
