import { INCONCLUSIVE, type DependencyOptions, type ProbeOptions } from '../../src/index.js'
import { ManualClock } from '../../src/testing.js'
import { rig, type Rig } from './rig.js'

export type Answer = 'pass' | 'fail' | 'hang' | 'inconclusive' | 'notFound' | 'throw'

export interface Probed extends Rig {
  /** What the next probes answer. */
  answer: Answer
  /** When each began, ms. */
  asked: number[]
  signals: AbortSignal[]
  disagreements: string[]
  /** Warnings raised (`+`) and cleared (`-`). */
  warnings: string[]
  /** Flips, with what kind of signal caused them. */
  flips: string[]
}

/** A dependency with a probe that answers what the test says. */
export function probed(
  probe: Partial<ProbeOptions> = {},
  options: DependencyOptions = {},
  clock = new ManualClock(),
): Probed {
  const script = {
    answer: 'pass' as Answer,
    asked: [] as number[],
    signals: [] as AbortSignal[],
    disagreements: [] as string[],
    warnings: [] as string[],
    flips: [] as string[],
  }
  const run: ProbeOptions['run'] = ({ signal }) => {
    script.asked.push(clock.now())
    script.signals.push(signal)
    switch (script.answer) {
      case 'pass':
        return 'well'
      case 'throw':
        throw new Error('broken at once')
      case 'fail':
        return Promise.reject(new Error('no answer'))
      case 'hang':
        return new Promise(() => undefined)
      case 'inconclusive':
        return Promise.resolve(INCONCLUSIVE)
      case 'notFound':
        return Promise.reject(Object.assign(new Error('no such account'), { statusCode: 404 }))
    }
  }
  const made = rig({ ...options, probe: { run, ...probe } }, clock)
  made.registry.on('disagreement', ({ probes }) => script.disagreements.push(probes))
  made.registry.on('warning', ({ warning, raised }) => script.warnings.push(`${raised ? '+' : '-'}${warning}`))
  made.registry.on('flip', ({ mode, cause }) => script.flips.push(`${mode} by ${cause.kind}`))
  return Object.assign(script, made)
}
