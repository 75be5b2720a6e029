// Ids come from a sequence. A backup whose sequence lags is swapped in: nothing fails, and ids would be given twice.
// Writes stop at the first bad one, reads go on, and an operator opens writes again after the repair.
// `npm run build && npx tsx docs/examples/read-only/main.ts`
import { createPool, createRegistry, monotonic, type InvariantStore } from 'cofferdam'
import { Database } from './database.js'

const database = new Database()
const marks = new Map<string, string>()
/** In life this is Redis, or a file: anything that isn't swapped together with the database. */
const store: InvariantStore = {
  get: (key) => marks.get(key),
  set: (key, value) => marks.set(key, value),
}

const registry = createRegistry()
const pool = createPool({ name: 'db', slots: 10 })
const reads = registry.dependency('orders-db', { bulkhead: { pool } })
const writes = registry.dependency('orders-write', {
  dependsOn: ['orders-db'],
  bulkhead: { pool },
  tags: ['writes'],
  invariants: [monotonic('order ids', () => database.lastId(), { every: 3_600_000, store })],
})

const countOrders = reads.wrap(() => database.count(), { name: 'count-orders' })
const nextId = writes.wrap(() => database.nextId(), {
  name: 'next-id',
  idempotent: false,
  invariant: monotonic('order ids', { store }),
})
const saveOrder = writes.wrap((_context, id: number) => database.insert(id), { name: 'save-order', idempotent: false })

/** What a form of the site does. */
async function order(): Promise<string> {
  try {
    const id = await nextId()
    await saveOrder(id)
    return `order ${id} was saved`
  } catch (error) {
    const { code } = error as { code: string }
    return `refused: ${code}`
  }
}

async function show(what: string): Promise<string> {
  const [ordered, count] = [await order(), await countOrders()]
  console.log(`${what.padEnd(30)} ${ordered.padEnd(26)} ${count} orders can be read`)
  return ordered
}

registry.on('flip', ({ dependency, mode, cause }) => {
  console.log(`  -> ${dependency} is ${mode}: ${cause.reason}`)
})

for (let i = 0; i < 50; i++) await order()
await show('all is well')
database.swapInBackup()
const withheld = await show('a backup was swapped in')
const refused = await show('read-only')
console.log(`${'acknowledged too early'.padEnd(30)} ${JSON.stringify(await registry.acknowledge('orders-write'))}`)
database.setSequence(1_000)
console.log(
  `${'acknowledged after the repair'.padEnd(30)} ${JSON.stringify(await registry.acknowledge('orders-write'))}`,
)
const saved = await show('open again')
registry.setMode({ tag: 'writes' }, 'unavailable', { reason: 'maintenance', notice: 'Back at noon.' })
await show('closed by hand, with a notice')
console.log(`${'on every page'.padEnd(30)} ${registry.snapshot()['orders-write']!.notice!}`)
await registry.close()

const held = withheld.includes('ERR_INVARIANT') && refused.includes('ERR_UNAVAILABLE') && saved.includes('1001')
console.log(held && database.collisions === 0 ? 'no id was given twice' : 'it was not held')
process.exitCode = held && database.collisions === 0 ? 0 : 1
