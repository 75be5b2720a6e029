import { emitKeypressEvents } from 'node:readline'
import type { Site } from '../site.js'
import { upstreamNames, type Behaviour, type UpstreamName } from '../upstreams/behaviour.js'

export const keyHelp = `
keys   1 articles   2 recommendations   3 activity      choose an upstream
       h hang   f fail   s slow   r recover             what it does from now on
       a all recover   q quit`

const behaviourOf: Record<string, Behaviour> = { h: 'hang', f: 'fail', s: 'slow', r: 'healthy' }

/** The control page's buttons, as keys in the terminal. */
export function listenToKeys(site: Site, print: (line: string) => void, quit: () => void): { stop: () => void } {
  let chosen: UpstreamName = 'recommendations'

  async function behave(names: readonly UpstreamName[], behaviour: Behaviour): Promise<void> {
    await Promise.all(names.map((name) => site.upstreams.behave(name, behaviour)))
    print(`${names.join(', ')}: ${behaviour}`)
  }

  async function pressed(name: string): Promise<void> {
    const upstream = upstreamNames[Number(name) - 1]
    const behaviour = behaviourOf[name]
    if (upstream) {
      chosen = upstream
      print(`chosen: ${chosen}`)
    } else if (behaviour) await behave([chosen], behaviour)
    else if (name === 'a') await behave(upstreamNames, 'healthy')
    else if (name === 'q') quit()
    else print(keyHelp)
  }

  function onKey(text: string | undefined, key: { name?: string; ctrl?: boolean }): void {
    if (key.ctrl && key.name === 'c') quit()
    else
      pressed(key.name ?? text ?? '').catch((error: unknown) => {
        print(String(error))
      })
  }

  emitKeypressEvents(process.stdin)
  process.stdin.setRawMode(true)
  process.stdin.on('keypress', onKey)
  process.stdin.resume()

  return {
    stop() {
      process.stdin.off('keypress', onKey)
      process.stdin.setRawMode(false)
      process.stdin.pause()
    },
  }
}
