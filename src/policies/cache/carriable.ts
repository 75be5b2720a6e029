/** Deeper ones are no data, and would end in a stack overflow. */
const DEEPEST = 500

/**
 * Whether a value is the same after a turn through JSON: numbers, strings, booleans, null, arrays and plain objects of
 * these. A property that is undefined may get lost, for reading it gives the same. Dates, Maps, Buffers and other
 * instances would come back as something else.
 */
export function carriable(value: unknown): boolean {
  try {
    return value === undefined || check(value, new Set(), 0)
  } catch {
    // A getter or a proxy threw.
    return false
  }
}

function check(value: unknown, above: Set<object>, depth: number): boolean {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || depth > DEEPEST || above.has(value)) return false
  above.add(value)
  const fine = Array.isArray(value) ? checkArray(value, above, depth) : checkObject(value, above, depth)
  above.delete(value)
  return fine
}

function checkArray(value: readonly unknown[], above: Set<object>, depth: number): boolean {
  // No holes, and nothing beside the elements.
  if (Object.getPrototypeOf(value) !== Array.prototype || Object.keys(value).length !== value.length) return false
  return value.every((part) => check(part, above, depth + 1))
}

function checkObject(value: object, above: Set<object>, depth: number): boolean {
  const proto: unknown = Object.getPrototypeOf(value)
  if ((proto !== Object.prototype && proto !== null) || Object.getOwnPropertySymbols(value).length > 0) return false
  for (const part of Object.values(value)) if (part !== undefined && !check(part, above, depth + 1)) return false
  return true
}
