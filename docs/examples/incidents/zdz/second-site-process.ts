// The second site in a process of its own; how it is guarded and whom it calls come as arguments.
import { endWithParent } from '../../replay/child.js'
import { serve } from '../../replay/serve.js'
import { guardedFeed, secondSite, unguardedFeed } from './second-site.js'

const [variant, portal] = process.argv.slice(2) as [string, string]
endWithParent()
const loadFeed = variant === 'guarded' ? guardedFeed(portal).loadFeed : unguardedFeed(portal)
const { url } = await serve(secondSite(loadFeed))
process.send?.({ url })
