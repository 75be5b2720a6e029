import { clockTime } from './clock-time.js'
import { element } from './element.js'

const shown = 30

/** The registry's history, newest first. */
export function updateHistory(body, nothing, history) {
  nothing.hidden = history.length > 0
  body.parentElement.hidden = history.length === 0
  body.replaceChildren(...history.slice(-shown).reverse().map(row))
}

function row({ dependency, mode, at, cause }) {
  return element(
    'tr',
    {},
    element('td', {}, clockTime(at)),
    element('td', {}, dependency),
    element('td', { class: mode }, mode),
    element('td', {}, `${cause.kind}: ${cause.reason}`),
  )
}
