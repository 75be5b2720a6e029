/** The operation that entries belong to, and which of its calls are too old to bring any. */
export class Owner {
  /** Of its last call: its place among all calls of the operation. */
  sequence = 0
  /** Calls up to this sequence may not write a key that has no entry: it was cleared or evicted after they began. */
  fence = 0
  /** The same for values of dumps, which have a start and no sequence: one that began by then was pushed out. */
  fencedAt = -Infinity
  /** One that began by then was deleted. */
  clearedAt = -Infinity
  /** Nor may calls that began before it: what another process had brought later was evicted. Monotonic. */
  floor = -Infinity
}
