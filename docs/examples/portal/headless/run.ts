import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { figures, shortfalls, wantedGoodRate } from './figures.js'
import { play } from './play.js'
import { plot } from './plot.js'
import { story } from './story.js'
import { table } from './table.js'

const picture = fileURLToPath(new URL('../results/good-answers.svg', import.meta.url))

/** Plays the script and reports; `true` if the guarded portal kept its promise in every phase. */
export async function runHeadless(print: (line: string) => void): Promise<boolean> {
  const played = await play(print)
  const all = figures(played)
  print(`\n${table(all)}`)

  print(`\nWhat the registry of the guarded portal saw:\n${story(played)}`)

  await mkdir(dirname(picture), { recursive: true })
  await writeFile(picture, plot(played))
  print(`\nGood pages over time: ${relative(process.cwd(), picture)}`)

  const tooFew = shortfalls(all)
  const wanted = `${wantedGoodRate * 100} %`
  for (const { phase, goodRate } of tooFew) {
    print(
      `FAILED: ${(goodRate * 100).toFixed(1)} % good pages of the guarded portal during “${phase}”; wanted ${wanted}`,
    )
  }
  if (tooFew.length === 0) print(`The guarded portal gave at least ${wanted} good pages in every phase.`)
  return tooFew.length === 0
}
