import type { SubjectName } from './harness/case.js'

/** One subject of a case, at one of its points. */
export interface Spot {
  readonly subject: SubjectName
  readonly point: number
}

/** What `npm run bench -- --check` holds Cofferdam to. */
export interface Target {
  readonly what: string
  /** The name of a case. */
  readonly of: string
  readonly spot: Spot
  /** What its figure is divided by, round by round, and in words. Without it the figure itself counts. */
  readonly by?: Spot & { readonly name: string }
  readonly atMost: number
}

const cofferdam = (point = 1): Spot => ({ subject: 'cofferdam', point })
const over = (name: string, subject: SubjectName, point = 1): { by: NonNullable<Target['by']> } => ({
  by: { name, subject, point },
})

const closed = { what: 'closed, full stack, `signal` not read', of: 'closed', spot: cofferdam() }
const refusedWithFallback = { what: 'refused, with fallback', of: 'refused-fallback', spot: cofferdam() }
const waiting = { what: 'waiting for one of 10 slots, 1,000 callers', of: 'waiting', spot: cofferdam(1_000) }
const hit = { what: 'a fresh value of the cache', of: 'cache-hit', spot: cofferdam(10_000) }
const idle = 'memory of 10,000 idle dependencies'
const timers = { of: 'idle-timers', atMost: 0 }

export const targets: readonly Target[] = [
  { ...closed, ...over('opossum', 'opossum'), atMost: 0.7 },
  { ...closed, ...over('cockatiel', 'cockatiel'), atMost: 1 / 15 },
  { ...closed, ...over('mollitia', 'mollitia'), atMost: 1 / 20 },
  { ...closed, ...over('the floor', 'floor'), atMost: 1.4 },
  {
    what: 'closed, full stack, `signal` read',
    of: 'closed-signal',
    spot: cofferdam(),
    ...over('the floor with a bare `AbortController`, its signal read', 'floor'),
    atMost: 1.2,
  },
  {
    what: 'closed, in the scope of a request',
    of: 'in-scope',
    spot: cofferdam(),
    ...over('the floor in a scope', 'floor'),
    atMost: 1.4,
  },
  { ...refusedWithFallback, ...over('opossum', 'opossum'), atMost: 1 / 8 },
  { ...refusedWithFallback, ...over('cockatiel', 'cockatiel'), atMost: 1 / 12 },
  {
    what: 'refused, the error thrown and caught',
    of: 'refused-error',
    spot: cofferdam(),
    ...over('opossum', 'opossum'),
    atMost: 1 / 4,
  },
  {
    what: 'failing, 100,000 calls in the window',
    of: 'failing',
    spot: cofferdam(100_000),
    ...over('the same with 100', 'cofferdam', 100),
    atMost: 1.2,
  },
  {
    what: '10,000 calls at once',
    of: 'concurrent',
    spot: cofferdam(10_000),
    ...over('the same with 100', 'cofferdam', 100),
    atMost: 1.5,
  },
  { ...waiting, ...over('p-limit with p-timeout 7, Node 20’s', 'limited', 1_000), atMost: 1.3 },
  { ...waiting, ...over('p-limit with p-timeout 8 at its best', 'limited-8', 1_000), atMost: 1.3 },
  { ...hit, ...over('bentocache', 'bentocache', 10_000), atMost: 1 },
  { ...hit, ...over('async-cache-dedupe', 'async-cache-dedupe', 10_000), atMost: 1 },
  {
    what: 'bytes allocated a call, closed',
    of: 'allocation',
    spot: cofferdam(),
    ...over('opossum', 'opossum'),
    atMost: 1,
  },
  {
    what: `${idle}, never called`,
    of: 'idle-memory',
    spot: cofferdam(0),
    ...over('opossum', 'opossum', 0),
    atMost: 0.2,
  },
  {
    what: `${idle}, called once`,
    of: 'idle-memory',
    spot: cofferdam(1),
    ...over('opossum', 'opossum', 1),
    atMost: 0.2,
  },
  { ...timers, what: 'timers of 10,000 idle dependencies, never called', spot: cofferdam(0) },
  { ...timers, what: 'timers of 10,000 idle dependencies, called once', spot: cofferdam(1) },
  {
    what: 'a listener on every event, and `circuit` read',
    of: 'listening',
    spot: { subject: 'cofferdam-listeners', point: 1 },
    ...over('without', 'cofferdam'),
    atMost: 1.3,
  },
  {
    what: 'event loop delay p99, 20,000 calls a second, half failing',
    of: 'loop-delay',
    spot: cofferdam(20_000),
    ...over('the same load without the library', 'raw', 20_000),
    atMost: 1.1,
  },
]
