import { parseArgs } from 'node:util'

const help = `A portal with three upstreams, guarded and unguarded.

  npm run demo                  serves both portals and a control page, until Ctrl-C
  npm run demo -- --headless    plays a script of 25 s on both under load, prints a table, draws a plot;
                                exits with 1 if the guarded portal gave less than 99 % good pages in any phase
  npm run demo -- --help        this text`

const print = (line: string): void => {
  console.log(line)
}

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
  if (options.headless) {
    const { runHeadless } = await import('./headless/run.js')
    return (await runHeadless(print)) ? 0 : 1
  }
  const { runInteractive } = await import('./interactive/run.js')
  await runInteractive(print)
  return 0
}

function readOptions(): { help: boolean; headless: boolean } | { problem: string } {
  try {
    const { values } = parseArgs({
      options: { help: { type: 'boolean', short: 'h', default: false }, headless: { type: 'boolean', default: false } },
    })
    return values
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) }
  }
}

process.exitCode = await main()
