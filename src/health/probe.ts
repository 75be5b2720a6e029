import * as v from 'valibot'
import type { Background } from '../core/background.js'
import { bound } from '../core/bound.js'
import { backgroundClock, type Clock } from '../core/clock.js'
import { isClientError, OptionError } from '../core/errors.js'
import { count, duration, fn, group } from '../core/options.js'
import { Periodic } from '../core/periodic.js'

/** Within so many ms a first answer comes that somebody waits for. */
const SOON = 1_000

/** What a probe may answer when the fault is its own: a check account that is gone, a broken monitor. Decides nothing. */
export const INCONCLUSIVE = Symbol('cofferdam.inconclusive')

/** A synthetic check of a dependency, for when there is no traffic to tell. */
export interface ProbeOptions {
  /**
   * Resolves when the dependency is well, rejects when it isn't; `INCONCLUSIVE`, or an error with an HTTP-like 4xx
   * `status`, when the check itself is at fault.
   */
  run: (context: { signal: AbortSignal }) => unknown
  /** Ms from the start of one to the start of the next, give or take a tenth. Default 5,000, or `timeout` if that is more. */
  every?: number
  /** Ms after which one that hangs has failed. Default 1,000, or `every` if that is less. */
  timeout?: number
  /** So many in a row must fail before they say anything. Default 3. */
  failures?: number
  /** So many in a row must pass before an unavailable dependency is taken back. Default 2. */
  successes?: number
}

const run = fn<ProbeOptions['run']>()
const numbers = {
  every: v.optional(duration),
  timeout: v.optional(duration),
  failures: v.optional(count),
  successes: v.optional(count),
}

export const probeSchema = group({ run, ...numbers })

export const probeChangesSchema = group({ run: v.optional(run), ...numbers })

/** The same, complete. */
export type ProbeSettings = Required<ProbeOptions>

export function probeSettings(given: v.InferOutput<typeof probeSchema>, path: string): ProbeSettings {
  const { run, failures = 3, successes = 2 } = given
  if (given.timeout !== undefined && given.every !== undefined && given.timeout > given.every)
    throw new OptionError(`${path}.timeout`, `${given.timeout} is more than every, ${given.every}`)
  const every = given.every ?? Math.max(5_000, given.timeout ?? 0)
  return { run, every, timeout: given.timeout ?? Math.min(1_000, every), failures, successes }
}

/** What probes tell, and whom they ask. The verdict behind it decides. */
export interface Probed {
  /** So many have failed in a row. @returns false when traffic says otherwise */
  probesFail(reason: string): boolean
  /** A trial probe was passed often enough, or failed. */
  probesPass(): void
  trialProbeFailed(): void
  readonly circuitState: 'closed' | 'open' | 'half-open'
  /** Grows with every change of it. */
  readonly generation: number
}

export interface ProbeReports {
  /** It failed although traffic is healthy: reported, not obeyed. */
  disagrees(): void
  agrees(): void
  /** Told about itself: `text` = inconclusive; `undefined` = it has an answer again. */
  ailing(text: string | undefined): void
}

/** One dependency's probe: when it runs, and what its answers amount to. */
export class Probe {
  /** It has passed, or can't tell; until then nobody knows whether the dependency is there at all. */
  vouched = false
  /** Its last answer; `undefined` before the first. */
  last: 'passed' | 'failed' | 'inconclusive' | undefined
  /** Nobody waits for an answer so much that the process must live for it. */
  readonly #clock: Clock
  readonly #verdict: Probed
  readonly #reports: ProbeReports
  readonly #periodic: Periodic
  #settings: ProbeSettings
  #inARow = 0
  #asking: AbortController | undefined
  #stopped = false

  /** @param soon somebody waits for its first answer */
  constructor(background: Background, settings: ProbeSettings, verdict: Probed, soon: boolean, reports: ProbeReports) {
    this.#clock = backgroundClock(background.clock)
    this.#settings = settings
    this.#verdict = verdict
    this.#reports = reports
    const first = soon ? Math.min(SOON, settings.every) : settings.every
    this.#periodic = new Periodic(background, 'probe', settings.every, () => this.#turn(), first)
  }

  configure(settings: ProbeSettings): void {
    const { every } = this.#settings
    this.#settings = settings
    if (settings.every === every) return
    this.#periodic.every = settings.every
    // While the circuit is open the next one is its trial, and due when it is due.
    if (this.#verdict.circuitState !== 'open') this.#soon()
  }

  /** The circuit opened: the next probe is its trial. */
  opened(trialIn: number): void {
    this.#inARow = 0
    this.#periodic.again(trialIn)
  }

  /** The circuit closed: whoever closed it, probing goes on as usual. */
  closed(): void {
    this.#inARow = 0
    this.#soon()
  }

  /** What is being asked is aborted, and its answer no longer counts. */
  stop(): void {
    this.#stopped = true
    this.#periodic.stop()
    this.#asking?.abort()
  }

  #soon(): void {
    this.#periodic.again(this.#settings.every * this.#clock.random())
  }

  async #turn(): Promise<void> {
    const before = this.#verdict.circuitState
    const { generation } = this.#verdict
    const answer = await this.#ask()
    // Something else has opened or closed the circuit meanwhile: an answer from before says nothing of now.
    const moved = this.#verdict.circuitState !== before || this.#verdict.generation !== generation
    if (this.#stopped || moved) return
    this.#count(answer)
    if (answer === 'inconclusive') return
    if (before === 'half-open') this.#judgeTrial(answer)
    else this.#judge(answer)
  }

  #count(answer: 'passed' | 'failed' | 'inconclusive'): void {
    if (answer !== 'failed') this.vouched = true
    if (answer === 'inconclusive') {
      this.last = answer
      this.#inARow = 0
      this.#reports.ailing('the probe is inconclusive: the fault may be its own')
      return
    }
    this.#inARow = this.last === answer ? this.#inARow + 1 : 1
    this.last = answer
    this.#reports.ailing(undefined)
  }

  #judgeTrial(answer: 'passed' | 'failed'): void {
    if (answer === 'failed') this.#verdict.trialProbeFailed()
    else if (this.#inARow >= this.#settings.successes) this.#verdict.probesPass()
  }

  #judge(answer: 'passed' | 'failed'): void {
    if (answer === 'passed') this.#reports.agrees()
    else if (this.#inARow >= this.#settings.failures) {
      if (this.#verdict.probesFail(`${this.#inARow} probes failed in a row`)) this.#reports.agrees()
      else this.#reports.disagrees()
    }
  }

  async #ask(): Promise<'passed' | 'failed' | 'inconclusive'> {
    const controller = (this.#asking = new AbortController())
    const { signal } = controller
    const stopped = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
    })
    const late = (): never => {
      throw new Error('late')
    }
    const { run, timeout } = this.#settings
    try {
      const asked = (async () => await run({ signal }))()
      const answer = await bound(this.#clock, Promise.race([asked, stopped]), timeout, late)
      return answer === INCONCLUSIVE ? 'inconclusive' : 'passed'
    } catch (error) {
      return isClientError(error) ? 'inconclusive' : 'failed'
    } finally {
      controller.abort()
    }
  }
}
