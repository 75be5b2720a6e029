import { readFileSync, writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { markdownOf } from '../report/markdown.js'
import { checked } from '../report/save.js'
import { targets } from '../targets.js'

const page = fileURLToPath(new URL('../../../docs/performance.md', import.meta.url))
const marked = /(?<=<!-- figures -->\n)[^]*(?=<!-- \/figures -->)/

/** Puts what the last checks found where the page has its figures. */
export async function figures(): Promise<void> {
  const found = checked()
  if (found.length === 0) throw new Error('nothing was checked yet: npm run bench -- --check')
  const text = readFileSync(page, 'utf8')
  if (!marked.test(text)) throw new Error('the page has no place for figures')
  const filled = text.replace(marked, () => `\n${markdownOf(targets, found)}\n\n`)
  writeFileSync(page, await format(filled, { ...(await resolveConfig(page)), filepath: page }))
  console.log(
    `${found.map(({ node, date }) => `Node ${node}, ${date}`).join('\n')}\n\nwritten to ${relative(process.cwd(), page)}`,
  )
}
