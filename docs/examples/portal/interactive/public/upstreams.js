import { clockTime } from './clock-time.js'
import { element } from './element.js'

const behaviours = ['healthy', 'hang', 'fail', 'slow']

const percent = (rate) => (rate === undefined ? '–' : `${Math.round(rate * 100)} %`)
const milliseconds = (time) => (time === undefined ? '–' : `${Math.round(time)}`)

/** What is shown of `dependency.health()`. */
const rows = {
  circuit: ({ circuit, retryAfter, ramp }) => {
    if (retryAfter !== undefined) return `${circuit}, trial in ${(retryAfter / 1_000).toFixed(1)} s`
    return ramp === undefined ? circuit : `${circuit}, ramp at ${percent(ramp)}`
  },
  'mode since': ({ since }) => clockTime(since),
  'calls in the window': ({ window }) => String(window.calls),
  'of these failed': ({ window }) => percent(window.failureRate),
  'of these slow': ({ window }) => percent(window.slowRate),
  'p50 / p95 / p99, ms': ({ latency }) => [latency?.p50, latency?.p95, latency?.p99].map(milliseconds).join(' / '),
  'slots busy': ({ slots }) => `${slots.busy} of ${slots.capacity}`,
  waiters: ({ waiters }) => String(waiters),
}

/** A card for each upstream: its buttons, and what the guarded portal knows of it. */
export function upstreamCard({ name }, changed) {
  const mode = element('span')
  const buttons = behaviours.map((behaviour) => {
    const button = element('button', { type: 'button', class: behaviour }, behaviour)
    button.addEventListener('click', () => void behave(name, behaviour).then(changed))
    return button
  })
  const cells = Object.fromEntries(Object.keys(rows).map((label) => [label, element('dd')]))
  const figures = Object.entries(cells).flatMap(([label, cell]) => [element('dt', {}, label), cell])

  return {
    card: element(
      'article',
      {},
      element('div', { class: 'title' }, element('h2', {}, name), mode),
      element('div', { class: 'buttons', role: 'group', 'aria-label': `What ${name} does` }, ...buttons),
      element('dl', {}, ...figures),
    ),
    update({ behaviour, health }) {
      mode.textContent = health.mode
      mode.className = `mode ${health.mode}`
      for (const button of buttons) button.setAttribute('aria-pressed', String(button.textContent === behaviour))
      for (const [label, cell] of Object.entries(cells)) cell.textContent = rows[label](health)
    },
  }
}

async function behave(name, behaviour) {
  await fetch(`/upstreams/${name}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ behaviour }),
  })
}
