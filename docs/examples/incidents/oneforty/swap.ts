import { createRegistry, notify } from 'cofferdam'

/** Tells people that swap space runs short, and that it doesn't any more. */
export interface SwapAlerts {
  readonly messages: readonly string[]
  /** How often it came to be short. */
  readonly times: number
  stop: () => Promise<void>
}

/** How often it is looked at, ms. */
const EVERY = 500
/** How long it takes to come and go, ms. */
const WAVE = 4_000

/** How much of it is in use: there are twice as many processes as there should be, and traffic comes and goes. */
export const swapUse = (now: () => number = () => performance.now()): (() => number) => {
  const began = now()
  return () => 0.7 + 0.1 * Math.sin((2 * Math.PI * (now() - began)) / WAVE)
}

const limit = 0.7
const tooMuch = (used: number): boolean => used > limit

/** As it was: a message whenever the limit is crossed, either way. */
export function plainAlerts(used: () => number): SwapAlerts {
  const messages: string[] = []
  let short = false
  const timer = setInterval(() => {
    if (tooMuch(used()) === short) return
    short = !short
    messages.push(short ? 'swap space is running short' : 'swap space is well again')
  }, EVERY)
  return {
    messages,
    get times() {
      return Math.ceil(messages.length / 2)
    },
    stop: async () => clearInterval(timer),
  }
}

/** The same readings, as the probe of a dependency: what the registry makes of them is what people are told. */
export function dampedAlerts(used: () => number): SwapAlerts {
  const registry = createRegistry()
  registry.dependency('swap', {
    probe: {
      run: () => {
        if (tooMuch(used())) throw new Error('swap space is running short')
      },
      every: EVERY,
    },
    circuit: { openFor: 1_000 },
  })
  let times = 0
  registry.on('flip', ({ mode }) => {
    if (mode === 'unavailable') times++
  })
  const messages: string[] = []
  const alerts = notify(registry, ({ text }) => messages.push(text))
  return {
    messages,
    get times() {
      return times
    },
    async stop() {
      alerts.stop()
      await registry.close()
    },
  }
}
