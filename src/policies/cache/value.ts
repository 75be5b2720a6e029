/**
 * A value that can be read only once, or by one reader, can't be kept for others.
 * @returns what it is, or undefined when it may be kept
 */
export function singleUse(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { constructor } = value
  // What most values are: asking for their prototype would cost 20 ns more.
  if (constructor !== Object && constructor !== Array && Object.getPrototypeOf(value) !== null) {
    // Not by `instanceof`: node-fetch and the undici package have a Response of their own.
    if ('bodyUsed' in value) return `a ${value.constructor.name}`
    if ('getReader' in value || 'pipe' in value || Symbol.asyncIterator in value) return 'a stream'
  }
  return typeof (value as { next?: unknown }).next === 'function' ? 'an iterator' : undefined
}

/** Freezes plain objects, arrays and what they hold; leaves instances of classes alone. */
export function deepFreeze(value: unknown, seen = new Set<unknown>()): void {
  // What is frozen already may hold what isn't.
  if (typeof value !== 'object' || value === null || seen.has(value)) return
  seen.add(value)
  const proto: unknown = Object.getPrototypeOf(value)
  if (proto !== Object.prototype && proto !== null && !Array.isArray(value)) return
  Object.freeze(value)
  for (const part of Object.values(value)) deepFreeze(part, seen)
}
