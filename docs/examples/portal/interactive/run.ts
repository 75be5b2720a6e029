import { once } from 'node:events'
import { serve } from '../../replay/serve.js'
import { startSite, variants } from '../site.js'
import { startVisitors } from '../visitors/visitors.js'
import { controlApp, visitsPerSecond } from './control.js'
import { keyHelp, listenToKeys } from './keys.js'
import { LastMinute } from './last-minute.js'

/** Serves everything until Ctrl-C, `q` or SIGTERM. */
export async function runInteractive(print: (line: string) => void): Promise<void> {
  const site = await startSite()
  const minutes = { guarded: new LastMinute(), unguarded: new LastMinute() }
  const visitors = variants.map((variant) =>
    startVisitors(site.urls[variant], visitsPerSecond, (visit) => {
      minutes[variant].add(visit)
    }),
  )
  const control = await serve(controlApp(site, minutes))

  print(`control page      ${control.url}`)
  print(`guarded portal    ${site.urls.guarded}`)
  print(`unguarded portal  ${site.urls.unguarded}`)
  print(`\n${visitsPerSecond} visitors a second come to each portal, beside you.`)

  const over = new AbortController()
  const quit = (): void => {
    over.abort()
  }
  const keys = process.stdin.isTTY ? listenToKeys(site, print, quit) : undefined
  print(keys ? keyHelp : 'Ctrl-C ends it.')

  const stopListening = site.registry.on('flip', ({ dependency, mode, cause }) => {
    print(`  → ${dependency} is ${mode}: ${cause.reason}`)
  })

  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM'), once(over.signal, 'abort')])
  keys?.stop()
  stopListening()
  await Promise.all(visitors.map((each) => each.stop()))
  await control.stop()
  await site.stop()
}
