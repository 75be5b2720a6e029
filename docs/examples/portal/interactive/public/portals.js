import { element, svgElement } from './element.js'

const seconds = 60
const height = 40

/** A card for each portal: how many pages were good, over the last minute. */
export function portalCard({ variant, url }) {
  const figure = element('strong')
  const bars = svgElement('svg', { viewBox: `0 0 ${seconds * 6} ${height}`, preserveAspectRatio: 'none', role: 'img' })
  const link = element('a', { href: url, target: '_blank', rel: 'noopener' }, 'open the page')
  const card = element(
    'article',
    { class: `portal ${variant}` },
    element('h2', {}, variant),
    element('p', { class: 'good' }, figure, ' good pages in the last second'),
    bars,
    element('p', { class: 'soft' }, 'the last minute: good in green, others in red · ', link),
  )

  return {
    card,
    /** `counts`: the good pages of each second, oldest first. */
    update(counts, visits) {
      const good = counts.at(-1)
      figure.textContent = good === undefined ? '–' : `${good} of ${visits}`
      card.classList.toggle('suffering', good === 0)
      bars.setAttribute('aria-label', `${variant}: ${figure.textContent} good pages in the last second`)
      bars.replaceChildren(...counts.flatMap((count, index) => bar(count / visits, seconds - counts.length + index)))
    },
  }
}

function bar(goodRate, place) {
  const badHeight = Math.max(0, 1 - goodRate) * height
  return [rectangle('bad', place, 0, badHeight), rectangle('good', place, badHeight, height - badHeight)]
}

const rectangle = (kind, place, y, size) => svgElement('rect', { class: kind, x: place * 6, y, width: 5, height: size })
