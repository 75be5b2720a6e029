import { deviantart } from './deviantart/deviantart.js'
import type { Incident } from './incident.js'
import { muut } from './muut/muut.js'

/** In the order in which they are told. */
export const incidents: readonly Incident[] = [muut, deviantart]
