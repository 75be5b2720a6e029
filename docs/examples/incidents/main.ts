import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { install } from '../../../test/support/servers/install.js'
import { plot } from '../replay/plot.js'
import { incidents } from './all.js'
import type { Incident } from './incident.js'
import { report } from './report.js'

const names = incidents.map(({ name }) => name)

const help = `Five outages, each played again without the library and with it, on real servers.

  npm run incidents              all of them, within 6 minutes
  npm run incidents -- NAME …    only those: ${names.join(', ')}
  npm run incidents -- --save    also puts the pictures into docs/incidents, where the pages show them
  npm run incidents -- --help    this text

It exits with 1 if an unguarded half did not fail, or a guarded one did.`

const print = (line: string): void => {
  console.log(line)
}

const folder = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** @returns an exit code */
async function main(): Promise<number> {
  const options = readOptions()
  if ('problem' in options) {
    console.error(`${options.problem}\n\n${help}`)
    return 2
  }
  if (options.help) {
    print(help)
    return 0
  }
  const chosen = incidents.filter(({ name }) => options.names.length === 0 || options.names.includes(name))
  const missing = Object.values(await install(new Set(chosen.flatMap(({ parts }) => parts))))
  if (missing.length > 0) {
    console.error(`The incidents are played on real servers: ${missing.join('; ')}`)
    return 2
  }
  let broken = 0
  for (const incident of chosen) broken += await playOne(incident, options.save)
  print(broken === 0 ? '\nEverything held.' : `\n${broken} of what was claimed did not hold.`)
  return broken === 0 ? 0 : 1
}

/** @returns how many claims did not hold */
async function playOne({ name, title, play }: Incident, save: boolean): Promise<number> {
  print(`\n━━ ${title} ━━`)
  const replay = await play(print)
  print(`\n${report(replay)}`)
  const { recordings, counted, perSecond } = replay
  const subtitle = `${perSecond} a second are asked for, of each variant alike`
  const svg = plot(recordings, { title: `${title}: ${counted}`, subtitle, perSecond })
  const path = `${folder(save ? '../../incidents' : 'results')}/${name}.svg`
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, svg)
  print(`\nPicture: docs/${save ? 'incidents' : 'examples/incidents/results'}/${name}.svg`)
  return replay.claims.filter(({ holds }) => !holds).length
}

function readOptions(): { help: boolean; save: boolean; names: string[] } | { problem: string } {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { help: { type: 'boolean', short: 'h', default: false }, save: { type: 'boolean', default: false } },
    })
    const unknown = positionals.find((name) => !names.includes(name))
    if (unknown !== undefined) return { problem: `There is no incident ${unknown}` }
    return { ...values, names: positionals }
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) }
  }
}

process.exitCode = await main()
