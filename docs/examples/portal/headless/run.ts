import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { figures } from '../../replay/figures.js'
import { plot } from '../../replay/plot.js'
import { figuresTable } from '../../replay/table.js'
import { goodWithin } from '../visitors/good-page.js'
import { patience } from '../visitors/visitors.js'
import { play } from './play.js'
import { visitsPerSecond } from './script.js'
import { story } from './story.js'

const picture = fileURLToPath(new URL('../results/good-answers.svg', import.meta.url))
const wantedGoodRate = 0.99

/** Plays the script and reports; `true` if the guarded portal kept its promise in every phase. */
export async function runHeadless(print: (line: string) => void): Promise<boolean> {
  const played = await play(print)
  const all = figures(played.recordings)
  print(`\n${figuresTable(all, 'portal')}`)
  print(
    `\nA good page comes within ${goodWithin} ms and has its article. Times are of all visits, from when each was due;`,
  )
  print(`a visitor gives up after ${patience} ms.`)

  print(`\nWhat the registry of the guarded portal saw:\n${story(played)}`)

  await mkdir(dirname(picture), { recursive: true })
  const subtitle = `${visitsPerSecond} visits a second on each portal, in the same run`
  await writeFile(
    picture,
    plot(played.recordings, { title: 'Good pages per second', subtitle, perSecond: visitsPerSecond }),
  )
  print(`\nGood pages over time: ${relative(process.cwd(), picture)}`)

  // No good page at all, for want of visits, is too few.
  const tooFew = all.filter(({ variant, goodRate }) => variant === 'guarded' && goodRate < wantedGoodRate)
  const wanted = `${wantedGoodRate * 100} %`
  for (const { phase, goodRate } of tooFew) {
    print(
      `FAILED: ${(goodRate * 100).toFixed(1)} % good pages of the guarded portal during “${phase}”; wanted ${wanted}`,
    )
  }
  if (tooFew.length === 0) print(`The guarded portal gave at least ${wanted} good pages in every phase.`)
  return tooFew.length === 0
}
