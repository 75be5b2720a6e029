import { serve, type Served as Serving } from '../../replay/serve.js'
import { progressLines } from '../../replay/progress.js'
import { playPhases, type Phase, type Recording } from '../../replay/recording.js'
import { startMemcached } from '../../../../test/support/servers/memcached.js'
import type { Server } from '../../../../test/support/servers/server.js'
import type { Print } from '../incident.js'
import { pagesPerSecond, type Served } from './load.js'
import { startSite, type Site, type Variant } from './site.js'
import { swapUse } from './swap.js'

export interface Outcome {
  /** What people were sent about swap space. */
  messages: readonly string[]
  /** How often it came to be short, in the eyes of what looked at it. */
  timesShort: number
  /** How often the instance that was left has asked the dead cache node. */
  inVain: number
  /** Of the instance that was started in the place of the one that was lost. */
  newcomer: Served
}

export interface Played {
  recordings: Recording[]
  outcomes: Record<Variant, Outcome>
}

/** How long the database takes for one part of a page, ms. */
const databaseTakes = 90
/** How long the packages of a new instance take, after it listens, ms. */
const installsIn = 3_000

/** Plays both variants at the same time: the same load, the same cache nodes, the same readings of swap space. */
export async function play(print: Print): Promise<Played> {
  const nodes: Server[] = []
  const sites: Site[] = []
  let database: Serving | undefined
  try {
    nodes.push(await startMemcached(), await startMemcached())
    database = await serve((request, response) => {
      const [, kind, id] = (request.url ?? '').split('/')
      setTimeout(() => response.end(`${kind} of ${id}`), databaseTakes)
    })
    const addresses = [nodes[0]!.url, nodes[1]!.url] as const
    const used = swapUse()
    for (const variant of ['guarded', 'unguarded'] as const)
      sites.push(await startSite({ variant, nodes: addresses, source: database.url }, used))

    const visits = Object.fromEntries(sites.map((site) => [site.variant, site.visits]))
    const progress = progressLines(visits, pagesPerSecond)
    const inVain = new Map<Site, number>()
    const phases = await playPhases(script(sites, nodes[0]!, inVain), print, () => {
      print(progress())
    })
    await Promise.all(sites.map((site) => site.quiet()))
    const [guarded, unguarded] = sites.map((site) => outcome(site, inVain.get(site)!))
    return {
      recordings: sites.map(({ variant, visits }) => ({ variant, phases, visits })),
      outcomes: { guarded: guarded!, unguarded: unguarded! },
    }
  } finally {
    await Promise.all(sites.map((site) => site.stop()))
    await database?.stop()
    await Promise.all(nodes.map((node) => node.stop()))
  }
}

/** @param inVain how often the dead cache node was asked is put here */
function script(sites: readonly Site[], node: Server, inVain: Map<Site, number>): Phase[] {
  return [
    { name: 'warm-up', what: 'caches fill', seconds: 6 },
    { name: 'healthy', what: 'but swap alerts flap', seconds: 9 },
    {
      name: 'killed',
      what: 'instance and cache node',
      seconds: 11,
      // The machine locks up: who has a connection to it waits.
      begin: async () => {
        for (const site of sites) inVain.set(site, await site.inVain())
        node.pause()
        await Promise.all(sites.map((site) => site.kill()))
      },
    },
    {
      name: 'new',
      what: 'an instance, packages later',
      seconds: 11,
      begin: async () => {
        await Promise.all(sites.map((site) => site.start('third', installsIn)))
      },
    },
    {
      name: 'list',
      what: 'nodes put right',
      seconds: 6,
      begin: async () => {
        for (const site of sites) inVain.set(site, (await site.inVain()) - inVain.get(site)!)
        node.resume()
      },
    },
  ]
}

const outcome = ({ alerts, served }: Site, inVain: number): Outcome => ({
  messages: [...alerts.messages],
  timesShort: alerts.times,
  inVain,
  newcomer: served.get('third') ?? { pages: 0, errors: 0 },
})
