/** The headers by which a caller says how long it will wait. */
type Headers = Readonly<Record<string, string | string[] | undefined>>

const GRPC_UNITS: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 }

/**
 * How long the caller says it will wait, ms: Envoy's `x-envoy-expected-rq-timeout-ms`, or gRPC's `grpc-timeout`.
 * Only for callers that are trusted, and only ever to shorten.
 *
 * @returns undefined when it says nothing, or nothing that makes sense
 */
export function inboundDeadline(headers: Headers): number | undefined {
  const envoy = headers['x-envoy-expected-rq-timeout-ms']
  if (typeof envoy === 'string' && /^\d{1,10}$/.test(envoy)) return Number(envoy)
  const grpc = headers['grpc-timeout']
  const parts = typeof grpc === 'string' ? /^(\d{1,8})([HMSmun])$/.exec(grpc) : null
  return parts === null ? undefined : Number(parts[1]) * GRPC_UNITS[parts[2]!]!
}
