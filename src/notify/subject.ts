import type { WarningKind } from '../health/warnings.js'
import { Incident, type Pace } from './incident.js'
import type { Message } from './message.js'
import type { NotifyEvents } from './source.js'

/** After a failed try the next one waits at least this long, ms, however short the cap. */
const RETRY = 60_000

/** A message that is on its way. What it says counts as told until it turns out that it failed. */
export interface Telling {
  readonly messages: readonly Message[]
  succeeded(): void
  failed(now: number): void
}

interface Warning {
  readonly dependency: string
  raised: boolean
  told: boolean
  text: string
  notBefore: number
}

/** One dependency: what people were told of it, what they weren't yet, and when they may be. Holds states, no queue. */
export class Subject {
  /** A message of it is on its way, and another one waits for what comes of that. */
  sending = false
  /** Its last message failed. */
  failedBefore = false
  readonly #pace: Pace
  /** By `enforced`: what is only watched has outages of its own. */
  readonly #incidents = new Map<boolean, Incident>()
  readonly #warnings = new Map<WarningKind, Warning>()
  /** When the last message went out that counts for the cap. */
  #outageTold = -Infinity
  #warningTold = -Infinity

  constructor(pace: Pace) {
    this.#pace = pace
  }

  flipped(flip: NotifyEvents['flip'], own: boolean, now: number): void {
    const incident = this.#incidents.get(flip.enforced)
    if (incident !== undefined) {
      if (flip.mode === 'available' && incident.isAnothers(now)) this.#incidents.delete(flip.enforced)
      else incident.flipped(flip, own, now)
    } else if (flip.mode === 'unavailable' && !own) this.#incidents.set(flip.enforced, new Incident(flip, now))
  }

  /** What it is unavailable with and tells nothing of itself, if it is so. */
  get behind(): readonly string[] {
    return [...this.#incidents.values()].flatMap(({ behind }) => behind ?? [])
  }

  /**
   * One that it depends on has returned. @returns whether it stands alone now
   * @param down those that have not
   */
  returned(parent: string, down: ReadonlySet<string>, now: number): boolean {
    let alone = false
    for (const incident of this.#incidents.values()) {
      const { behind } = incident
      if (behind?.includes(parent) !== true || behind.some((other) => down.has(other))) continue
      incident.stands(this.#pace.stableFor, now)
      alone = true
    }
    return alone
  }

  /** Without an incident nobody is to hear of its flips: they are an operator's, or only watched. */
  flapping(flapping: NotifyEvents['flapping'], now: number): void {
    for (const incident of this.#incidents.values()) incident.flapping(flapping, now)
  }

  warned({ dependency, warning, raised, text: said, injected }: NotifyEvents['warning']): void {
    const text = injected === true ? `${said} (a fault was injected)` : said
    const known = this.#warnings.get(warning)
    if (known !== undefined) Object.assign(known, { raised, text })
    else if (raised) this.#warnings.set(warning, { dependency, raised, told: false, text, notBefore: -Infinity })
  }

  /** @param early after a failed try: without the wait before the next */
  dueAt(early = false): number {
    let due = Infinity
    for (const incident of this.#incidents.values()) due = Math.min(due, this.#incidentDue(incident, early))
    for (const warning of this.#warnings.values()) due = Math.min(due, this.#warningDue(warning, early))
    return due
  }

  /** What is due, if anything is. An outage goes first; warnings then wait for the cap. */
  take(now: number, at: number, early: boolean): Telling | undefined {
    for (const incident of this.#incidents.values())
      if (this.#incidentDue(incident, early) <= now) return this.#tell(incident, now, at)
    const warnings = [...this.#warnings].filter(([, warning]) => this.#warningDue(warning, early) <= now)
    return warnings.length === 0 ? undefined : this.#warn(warnings, now, at)
  }

  #incidentDue(incident: Incident, early: boolean): number {
    const due = incident.dueAt(this.#pace, this.#outageTold + this.#pace.atMostEvery)
    return early ? due : Math.max(due, incident.notBefore)
  }

  /** A warning never holds back the outage that it warned of; the other way round it does. */
  #warningDue(warning: Warning, early: boolean): number {
    if (warning.raised === warning.told) return Infinity
    const due = Math.max(this.#outageTold, this.#warningTold) + this.#pace.atMostEvery
    return early ? due : Math.max(due, warning.notBefore)
  }

  #tell(incident: Incident, now: number, at: number): Telling {
    const message = incident.message(now, at)
    const { told, flappingTold, enforced } = incident
    const before = this.#outageTold
    const over = incident.mode === 'available'
    if (message.kind !== 'available') this.#outageTold = now
    if (message.kind === 'flapping') incident.flappingTold = true
    incident.told = true
    if (over) this.#incidents.delete(enforced)
    return this.#telling([message], [incident], () => {
      this.#outageTold = before
      Object.assign(incident, { told, flappingTold })
      if (!over) return
      const later = this.#incidents.get(enforced)
      if (later === undefined) this.#incidents.set(enforced, incident)
      else later.continues(incident)
    })
  }

  #warn(warnings: readonly [WarningKind, Warning][], now: number, at: number): Telling {
    const messages = warnings.map(([kind, warning]): Message => {
      const { dependency, raised, text } = warning
      warning.told = raised
      const words = `${dependency}: ${raised ? 'warning' : 'warning cleared'}: ${text}`
      return Object.freeze({ kind: 'warning', dependency, at, text: words, warning: kind, raised })
    })
    const before = this.#warningTold
    this.#warningTold = now
    const all = warnings.map(([, warning]) => warning)
    return this.#telling(messages, all, () => {
      this.#warningTold = before
      for (const warning of all) warning.told = !warning.told
    })
  }

  #telling(messages: readonly Message[], of: readonly { notBefore: number }[], takeBack: () => void): Telling {
    this.sending = true
    const end = (failed: boolean, notBefore: number): void => {
      this.sending = false
      this.failedBefore = failed
      for (const one of of) one.notBefore = notBefore
    }
    return {
      messages,
      succeeded: () => {
        end(false, -Infinity)
      },
      failed: (now) => {
        takeBack()
        end(true, now + Math.max(RETRY, this.#pace.atMostEvery))
      },
    }
  }
}
