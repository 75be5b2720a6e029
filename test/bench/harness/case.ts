import type { BuildStack } from '../stacks/stack.js'

/** The name of a module in `stacks/`. */
export type SubjectName =
  | 'raw'
  | 'floor'
  | 'cofferdam'
  | 'cofferdam-listeners'
  | 'opossum'
  | 'opossum-no-percentiles'
  | 'cockatiel'
  | 'mollitia'
  | 'nested'
  | 'limited'
  | 'limited-8'
  | 'lru-get'
  | 'lru-fetch'
  | 'bentocache'
  | 'async-cache-dedupe'

export interface Subject {
  readonly name: SubjectName
  /** The points that it is measured at, when not all. */
  readonly points?: readonly number[]
}

/** How much time a run may take. */
export interface Effort {
  /** Processes started for each subject, one after another: two of them may be compiled differently. */
  readonly launches: number
  readonly rounds: number
  readonly roundMs: number
  readonly warmUpMs: number
  /** For a case that makes many things: how many. */
  readonly amount?: number
}

/** One question put to several subjects. To add one: a file in `cases/`, and its name in `cases/index.ts`. */
export interface Case {
  readonly name: string
  readonly title: string
  /** What one figure counts: `ns a call`. Less is better. */
  readonly unit: string
  /** What a point is (`calls in the window`), for a case that is measured at several. */
  readonly pointIs?: string
  readonly points: readonly number[]
  readonly subjects: readonly Subject[]
  readonly nodeFlags?: readonly string[]
  /** Replaces what the run's effort says. */
  readonly effort?: (quick: boolean) => Partial<Effort>
  /** Runs in the subject's process. It warms up, and checks that the subject does what is about to be measured. */
  readonly prepare: (build: BuildStack, points: readonly number[], effort: Effort) => Promise<Meter>
}

/** Takes one figure at a point, for one round. */
export type Meter = (point: number) => Promise<number>

export function subjects(...names: SubjectName[]): Subject[] {
  return names.map((name) => ({ name }))
}
