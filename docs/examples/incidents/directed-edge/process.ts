/** The serving process. */
import { once } from 'node:events'
import { endWithParent } from '../../replay/child.js'
import { guarded, type Told } from './guarded.js'
import { Store, type Written } from './store.js'
import { unguarded } from './unguarded.js'

export interface Serving {
  variant: 'unguarded' | 'guarded'
  directory: string
  /** The same after each restart. */
  port: number
  /** Of those who may drain the store. */
  secret: string
}

export type Report = { listening: true } | { written: Written } | { told: Told }

const report = (message: Report): boolean | undefined => process.send?.(message)

endWithParent()
const { variant, directory, port, secret } = JSON.parse(process.argv[2]!) as Serving
const store = new Store(directory, (written) => report({ written }))
const app = variant === 'guarded' ? guarded(store, secret, (told) => report({ told })) : unguarded(store)
await once(app.listen(port, '127.0.0.1'), 'listening')
report({ listening: true })
