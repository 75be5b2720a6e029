interface Telling {
  retryAfter?: unknown
  headers?: unknown
  response?: { headers?: unknown } | null
}

/**
 * How long an error asks to be left alone, ms: our own `retryAfter`, or the `Retry-After` header (RFC 9110: seconds, or
 * a date) of a response that hangs on it, as fetch, axios and got have it.
 */
export function retryAfterOf(error: unknown, wall: number): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const { retryAfter, headers, response } = error as Telling
  if (typeof retryAfter === 'number') return retryAfter >= 0 ? retryAfter : undefined
  return millisecondsOf(retryAfter ?? headerOf(headers) ?? headerOf(response?.headers), wall)
}

function headerOf(headers: unknown): unknown {
  if (typeof headers !== 'object' || headers === null) return undefined
  const { get } = headers as { get?: unknown }
  if (typeof get === 'function') return get.call(headers, 'retry-after') ?? undefined
  for (const [name, value] of Object.entries(headers)) if (name.toLowerCase() === 'retry-after') return value
  return undefined
}

function millisecondsOf(header: unknown, wall: number): number | undefined {
  const value: unknown = Array.isArray(header) ? header[0] : header
  if (typeof value === 'number') return value >= 0 ? value * 1_000 : undefined
  if (typeof value !== 'string') return undefined
  if (/^\s*\d+\s*$/.test(value)) return Number(value) * 1_000
  // A date begins with the name of a day; the parser takes much else for one.
  const at = /^\s*[A-Za-z]{3}/.test(value) ? Date.parse(value) : Number.NaN
  return Number.isNaN(at) ? undefined : Math.max(0, at - wall)
}
