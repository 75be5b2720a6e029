import { deviantart } from './deviantart/deviantart.js'
import { directedEdge } from './directed-edge/directed-edge.js'
import type { Incident } from './incident.js'
import { muut } from './muut/muut.js'
import { oneforty } from './oneforty/oneforty.js'
import { zdz } from './zdz/zdz.js'

/** In the order in which they are told. */
export const incidents: readonly Incident[] = [zdz, muut, deviantart, directedEdge, oneforty]
