import { createRegistry } from 'cofferdam'
import { cofferdam } from 'cofferdam/express'
import express from 'express'
import { checkAccount, checkRecord } from './database.js'
import { answerErrors, type Store } from './store.js'

/** What people would be told; `worst` is the database of which most calls failed. */
export type Told = { warning: string; worst?: string } | { disagreement: 'passing' | 'failing' }

/** The same service with one dependency, the store. */
export function guarded(store: Store, secret: string, tell: (told: Told) => void): express.Express {
  const registry = createRegistry()
  const files = registry.dependency('store', {
    // A missing check account is an error with the status 404: the check's own fault, which decides nothing.
    probe: { run: () => store.read(checkAccount, checkRecord), every: 1_000, failures: 2 },
  })
  const read = files.wrap((_context, name: string, id: number) => store.read(name, id), {
    name: 'read',
    key: (name, id) => `${name}/${id}`,
    scope: 'public',
  })
  const write = files.wrap((_context, name: string, id: number, text: string) => store.write(name, id, text), {
    name: 'write',
    idempotent: false,
  })

  const failed = new Map<string, number>()
  registry.on('call', ({ label, ok, source }) => {
    if (label !== undefined && (!ok || source === 'stale')) failed.set(label, (failed.get(label) ?? 0) + 1)
  })
  registry.on('warning', ({ warning, raised }) => {
    const [worst] = [...failed].sort(([, one], [, other]) => other - one).map(([name]) => name)
    if (raised) tell({ warning, ...(worst === undefined ? {} : { worst }) })
  })
  registry.on('disagreement', ({ probes }) => {
    tell({ disagreement: probes })
  })

  const app = express()
  const guard = cofferdam({ registry, deadline: 2_000 })
  const authorize = ({ request }: { request: express.Request }): false | string =>
    request.get('authorization') === `Bearer ${secret}` && 'the repair tool'
  app.use('/ops', guard.operator({ authorize }))
  // For who restarts the process: only if its calls fail. A drain is no reason, and a check that can't tell is none.
  app.get('/alive', (_request, response) => {
    response.status(registry.snapshot()['store']?.circuit === 'open' ? 503 : 200).end()
  })
  app.use(guard)
  app.get('/databases/:name/:id', async (request, response) => {
    const { name, id } = request.params
    response.send(await read.with({ label: name })(name, Number(id)))
  })
  app.post('/databases/:name/:id', express.text(), async (request, response) => {
    const { name, id } = request.params
    await write.with({ label: name })(name, Number(id), String(request.body))
    response.status(201).end()
  })
  app.use(guard.errors())
  app.use(answerErrors)
  return app
}
