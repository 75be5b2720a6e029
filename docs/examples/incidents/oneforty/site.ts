import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { guard } from '../../../../test/support/servers/guardian.js'
import { serve } from '../../replay/serve.js'
import type { Visit } from '../../replay/visitors.js'
import { listenerOf, plainBalancer } from './balancer.js'
import { guardedBalancer } from './guarded-balancer.js'
import { startInstance, type Instance } from './instance.js'
import { startReaders, type Served } from './load.js'
import type { Running } from './process.js'
import { dampedAlerts, plainAlerts, type SwapAlerts } from './swap.js'

export type Variant = Running['variant']

/** One variant: its instances, what stands before them, and who comes. */
export interface Site {
  readonly variant: Variant
  readonly visits: readonly Visit[]
  readonly served: ReadonlyMap<string, Served>
  readonly alerts: SwapAlerts
  /** Starts one that is sent pages as soon as the balancer thinks fit. @param installIn ms until its packages are there */
  start: (name: string, installIn: number) => Promise<void>
  /** The first. */
  kill: () => Promise<void>
  /** How often the second has asked a cache node in vain. */
  inVain: () => Promise<number>
  quiet: () => Promise<void>
  stop: () => Promise<void>
}

/** @param used how much swap space is in use */
export async function startSite(parts: Omit<Running, 'directory'>, used: () => number): Promise<Site> {
  const { variant } = parts
  const root = await mkdtemp(join(tmpdir(), 'cofferdam-oneforty-'))
  // Removes the directory however this process ends.
  const guardian = guard(root, 'SIGTERM')
  const balancer = variant === 'guarded' ? guardedBalancer() : plainBalancer()
  const front = await serve(listenerOf(balancer))
  const instances: Instance[] = []
  const installing = new Set<NodeJS.Timeout>()

  async function begin(name: string): Promise<Instance> {
    const directory = join(root, name)
    await mkdir(directory)
    const instance = await startInstance({ ...parts, directory })
    instances.push(instance)
    return instance
  }

  for (const name of ['first', 'second']) {
    const instance = await begin(name)
    await instance.install()
    await instance.ready()
    await balancer.add(name, instance.url)
  }
  const visits: Visit[] = []
  const served = new Map<string, Served>()
  const readers = startReaders(front.url, (visit) => visits.push(visit), served)
  const alerts = variant === 'guarded' ? dampedAlerts(used) : plainAlerts(used)
  return {
    ...{ variant, visits, served, alerts },
    async start(name, installIn) {
      const instance = await begin(name)
      installing.add(setTimeout(() => void instance.install(), installIn))
      await balancer.add(name, instance.url)
    },
    kill: () => instances[0]!.kill(),
    inVain: () => instances[1]!.inVain(),
    quiet: () => readers.stop(),
    async stop() {
      for (const timer of installing) clearTimeout(timer)
      await readers.stop()
      await alerts.stop()
      await front.stop()
      await balancer.stop()
      await Promise.all(instances.map((instance) => instance.kill()))
      guardian.release()
      await rm(root, { recursive: true, force: true, maxRetries: 10 })
    },
  }
}
