/** One subject of one case, in a process of its own. Measures when it is told to; see `harness/process.ts`. */
import { cases } from './cases/index.js'
import { growths } from './growth/index.js'
import type { Reply, Request, Task } from './harness/protocol.js'
import type { BuildStack } from './stacks/stack.js'

// tsx turns source maps on, and these are looked up for the stacks that some of the peers take.
process.setSourceMapsEnabled(false)

const { caseName, subject, points, effort } = JSON.parse(process.argv[2] ?? '{}') as Task
const measured = [...cases, ...growths].find(({ name }) => name === caseName)
if (measured === undefined) throw new Error(`no case is called ${caseName}`)

const { build } = (await import(`./stacks/${subject}.js`)) as { build: BuildStack }
const meter = await measured.prepare(build, points, effort)

process.on('message', ({ point }: Request) => {
  // A failure is left unhandled on purpose: it ends this process, and the parent reports that.
  void meter(point).then((figure) => send({ figure }))
})
process.on('disconnect', () => process.exit())
send({ ready: true })

function send(reply: Reply): void {
  process.send?.(reply)
}
