import { directedEdge } from './directed-edge/directed-edge.js'
import type { Incident } from './incident.js'
import { oneforty } from './oneforty/oneforty.js'

/** In the order in which they are told. */
export const incidents: readonly Incident[] = [directedEdge, oneforty]
