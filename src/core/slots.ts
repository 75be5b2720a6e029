import { OptionError } from './errors.js'
import { Line, type Waiter } from './line.js'

/** What a member of a pool is entitled to. */
export interface Share {
  /** Slots kept for it whatever the others do; without a number a safe share, see {@link Slots}. */
  guaranteed?: number | undefined
  /** The most it may hold; by default all of the pool. */
  atMost?: number | undefined
}

/**
 * The one slot pool: a hard cap, divided among members that each have a guarantee and a ceiling, and that borrow what
 * is idle. A member can be divided again (a dependency's classes divide its share of a pool), so this is a tree: the
 * root holds the cap, slots are taken at the leaves, and a take counts at every level in one synchronous step.
 *
 * A member that names no guarantee gets ⌊(slots − named guarantees) ÷ 2 ÷ unnamed members⌋, at least 1 while slots
 * last, recomputed when one joins: safe without a number set. Netflix's partitions, which borrow without this
 * accounting, overshoot their cap (17 in flight at a limit of 10).
 */
export class Slots {
  readonly name: string
  readonly parent: Slots | undefined
  /** The most that may be held at once. */
  capacity: number
  guaranteed: number
  /** Held now. */
  busy = 0
  /** Guarantees of the members that they don't use at present; nobody else may borrow them. */
  unmet = 0
  /** A lower cap for the time being: the ramp after a recovery. */
  ceiling: (() => number) | undefined
  readonly members = new Map<string, Slots>()
  readonly #root: Slots
  #share: Share
  #line: Line | undefined
  #paused: Error | undefined
  /** Of the root: leaves with a waiter at the head of their line, or on its way there. */
  readonly #waiting = new Set<Slots>()
  #tickets = 0

  private constructor(name: string, share: Share, capacity: number, parent: Slots | undefined) {
    this.name = name
    this.parent = parent
    this.#root = parent === undefined ? this : parent.#root
    this.#share = share
    this.capacity = capacity
    this.guaranteed = parent === undefined ? capacity : 0
  }

  /** A pool of its own. */
  static pool(name: string, capacity: number): Slots {
    return new Slots(name, {}, capacity, undefined)
  }

  /**
   * A new member.
   * @throws OptionError (`ERR_OPTION`) when the guarantees would exceed the slots; nothing has changed then
   */
  join(name: string, share: Share, path: string): Slots {
    if (this.members.has(name)) throw new OptionError(path, `"${name}" is a member of the pool already`)
    const member = new Slots(name, share, 0, this)
    this.#divide([...this.members.values(), member], this.capacity, path)
    this.members.set(name, member)
    if (this.#paused !== undefined) member.pause(this.#paused)
    return member
  }

  /** A member that will hold no more slots leaves its guarantee to the others. */
  remove(member: Slots): void {
    if (!this.members.delete(member.name)) return
    member.guaranteed = 0
    this.#divide([...this.members.values()], this.capacity, member.name)
    this.#root.#serve()
  }

  /** How many slots this member could get right now: what its guarantee still owes it, and idle ones beyond all guarantees. */
  available(): number {
    if (this.#paused !== undefined) return 0
    const { parent } = this
    const room = (this.ceiling === undefined ? this.capacity : Math.min(this.capacity, this.ceiling())) - this.busy
    if (parent === undefined || room <= 0) return room
    const above = parent.available()
    const owed = Math.min(Math.max(0, this.guaranteed - this.busy), above)
    return Math.min(room, owed + Math.max(0, above - parent.unmet))
  }

  /** Takes a slot if one is free for this member and none of its waiters is entitled to it. */
  tryTake(): boolean {
    if (this.#line !== undefined && this.#line.length > 0) return false
    if (this.available() <= 0) return false
    const root = this.#root
    if (root.#waiting.size > 0 && root.#promised(this.#owed()) >= root.capacity - root.busy) return false
    this.#take()
    return true
  }

  /** Gives a slot back; it goes straight to the waiter whose turn it is. */
  release(): void {
    // A node's own idle guarantee is the parent's to keep.
    for (let node: Slots | undefined = this; node !== undefined; node = node.parent)
      if (--node.busy < node.guaranteed && node.parent !== undefined) node.parent.unmet++
    const root = this.#root
    if (root.#waiting.size > 0) root.#serve()
  }

  /** How many wait, here and below. */
  get waiters(): number {
    let waiters = this.#line?.length ?? 0
    for (const member of this.members.values()) waiters += member.waiters
    return waiters
  }

  /** Lines up for a slot; `granted` runs in the step that takes it. */
  wait(granted: () => void): Waiter {
    this.#line ??= new Line(() => {
      this.#lineMoved()
    })
    const waiter = this.#line.join(this.#root.#tickets++, granted)
    this.#lineMoved()
    return waiter
  }

  /** Why nobody may take a slot here at present; `undefined` = not paused. */
  get paused(): Error | undefined {
    return this.#paused
  }

  /** Hands out nothing until resumed, and sends those away who wait. Slots that are held stay held. */
  pause(reason: Error): void {
    this.#paused = reason
    this.#line?.dismiss(reason)
    for (const member of this.members.values()) member.pause(reason)
  }

  resume(): void {
    this.#paused = undefined
    for (const member of this.members.values()) member.resume()
    this.#root.#serve()
  }

  /**
   * Changes the cap of a pool, or the share of a member, while slots are held and waited for. A smaller one takes
   * nothing away; what is held beyond it is simply not handed out again.
   * @param shares new ones of members below it, in the same step
   * @throws OptionError (`ERR_OPTION`) when guarantees would exceed slots; nothing has changed then
   */
  resize(to: number | Share, path: string, shares: ReadonlyMap<Slots, Share> = new Map()): void {
    const { parent } = this
    const before = [this, ...shares.keys()].map((slots) => [slots, slots.#share] as const)
    for (const [member, share] of shares) member.#share = share
    if (parent !== undefined) this.#share = typeof to === 'number' ? { atMost: to } : to
    try {
      if (parent !== undefined) parent.#divide([...parent.members.values()], parent.capacity, path)
      else {
        const capacity = typeof to === 'number' ? to : this.capacity
        this.#divide([...this.members.values()], capacity, path)
        this.capacity = this.guaranteed = capacity
      }
    } catch (error) {
      for (const [slots, share] of before) slots.#share = share
      throw error
    }
    this.#root.#serve()
  }

  /** Sends all waiters away, here and below. */
  dismiss(error: unknown): void {
    this.#line?.dismiss(error)
    for (const member of this.members.values()) member.dismiss(error)
  }

  /** Looks again whether a waiter can be served, after a ceiling has risen. */
  serve(): void {
    this.#root.#serve()
  }

  #take(): void {
    for (let node: Slots | undefined = this; node !== undefined; node = node.parent)
      if (node.busy++ < node.guaranteed && node.parent !== undefined) node.parent.unmet--
  }

  #lineMoved(): void {
    const root = this.#root
    if (this.#line !== undefined && this.#line.length > 0) root.#waiting.add(this)
    else root.#waiting.delete(this)
    root.#serve()
  }

  /**
   * How many of the free slots waiters will get who are just being called to the head of their line.
   * @param owed only those who go before somebody to whom a slot is owed
   */
  #promised(owed: boolean): number {
    let promised = 0
    for (const leaf of this.#waiting)
      if (!owed || leaf.#owed()) promised += Math.min(leaf.#line!.length, Math.max(0, leaf.available()))
    return promised
  }

  /** Hands out what is free: first to members below their guarantee, then to who has waited longest. */
  #serve(): void {
    for (;;) {
      let next: Slots | undefined
      for (const leaf of this.#waiting)
        if (leaf.available() > 0 && (next === undefined || leaf.#goesBefore(next))) next = leaf
      const waiter = next === undefined ? undefined : next.#line!.head
      // Whom p-limit is just calling to the head of the line keeps the turn: the line looks here again then.
      if (next === undefined || waiter === undefined) return
      next.#take()
      waiter.grant()
    }
  }

  #goesBefore(other: Slots): boolean {
    const owed = this.#owed()
    if (owed !== other.#owed()) return owed
    return this.#line!.next!.ticket < other.#line!.next!.ticket
  }

  /** Below its guarantee at every level: a class can't use its own against the other members of the pool. */
  #owed(): boolean {
    for (let node: Slots = this; node.parent !== undefined; node = node.parent)
      if (node.busy >= node.guaranteed) return false
    return true
  }

  /** Works out every member's share of `capacity`, and the shares below, and only then puts them into force. */
  #divide(members: Slots[], capacity: number, path: string): void {
    const plan: Plan = new Map()
    this.#plan(members, capacity, path, plan)
    for (const [member, share] of plan) Object.assign(member, share)
    for (const member of plan.keys()) member.unmet = owedTo(member.members.values())
    this.unmet = owedTo(members)
  }

  #plan(members: readonly Slots[], capacity: number, path: string, plan: Plan): void {
    const named = members.reduce((sum, member) => sum + (member.#share.guaranteed ?? 0), 0)
    if (named > capacity) throw new OptionError(path, `guarantees of ${named} in all exceed the ${capacity} slots`)
    const unnamed = members.filter((member) => member.#share.guaranteed === undefined)
    const each = Math.max(1, Math.floor((capacity - named) / 2 / unnamed.length))
    let left = capacity - named
    for (const member of members) {
      const most = Math.min(member.#share.atMost ?? capacity, capacity)
      const wanted = member.#share.guaranteed ?? Math.min(each, left)
      if (member.#share.guaranteed === undefined) left -= wanted
      plan.set(member, { capacity: most, guaranteed: Math.min(wanted, most) })
      member.#plan([...member.members.values()], most, path, plan)
    }
  }
}

/** What each member will be entitled to. */
type Plan = Map<Slots, { capacity: number; guaranteed: number }>

/** The guarantees that these don't use at present. */
function owedTo(members: Iterable<Slots>): number {
  let owed = 0
  for (const member of members) owed += Math.max(0, member.guaranteed - member.busy)
  return owed
}
