// `npm run build && npx tsx docs/examples/four-classes/rehearsal.ts`
import { rehearse, type Rehearsal } from 'cofferdam'
import { portal } from './portal.js'
import { startUpstream } from './upstream.js'

const ALL = 'the page that waits for all'

/** The portal, with its page twice: as it is, and as one would write it who trusts the comments to be there. */
async function start(): Promise<Rehearsal> {
  const [articles, comments] = await Promise.all([startUpstream(), startUpstream()])
  const { registry, loadPage, loadArticle, loadComments } = portal({ articles: articles.url, comments: comments.url })
  return {
    registry,
    routes: {
      'the page': () => loadPage('1'),
      [ALL]: () => Promise.all([loadArticle('1'), loadComments('1')]),
    },
    close: () => {
      articles.stop()
      comments.stop()
    },
  }
}

const report = await rehearse(start, { within: 800 })
console.log(String(report))
process.exitCode = report.stopped.join() === ALL ? 0 : 1
