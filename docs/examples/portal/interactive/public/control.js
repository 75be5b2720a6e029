import { updateHistory } from './history.js'
import { portalCard } from './portals.js'
import { upstreamCard } from './upstreams.js'

const cards = new Map()
const place = (id) => document.getElementById(id)

function show(state) {
  for (const portal of state.portals)
    card(`portal ${portal.variant}`, 'portals', () => portalCard(portal)).update(portal.good, state.visitsPerSecond)
  for (const upstream of state.upstreams)
    card(`upstream ${upstream.name}`, 'upstreams', () => upstreamCard(upstream, refresh)).update(upstream)
  updateHistory(place('history'), place('no-history'), state.history)
}

function card(key, section, make) {
  if (!cards.has(key)) {
    cards.set(key, make())
    place(section).append(cards.get(key).card)
  }
  return cards.get(key)
}

async function refresh() {
  try {
    const response = await fetch('/state', { signal: AbortSignal.timeout(2_000) })
    show(await response.json())
    place('lost').hidden = true
  } catch (error) {
    console.error(error)
    place('lost').hidden = false
  }
}

async function keepRefreshing() {
  await refresh()
  setTimeout(keepRefreshing, 1_000)
}

void keepRefreshing()
