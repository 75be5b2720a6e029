import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What a page is made of; each part is cached by itself. */
export const kinds = ['app', 'reviews', 'readers', 'tweets'] as const
export type Kind = (typeof kinds)[number]

/** Gives one part of a page, from a cache if it can. */
export type GivePart = (kind: Kind, id: string) => Promise<string>

/** Asks the database, which takes its time. */
export async function loadPart(source: string, kind: Kind, id: string, signal?: AbortSignal): Promise<string> {
  const response = await fetch(`${source}/${kind}/${id}`, { signal: signal ?? null })
  const text = await response.text()
  if (!response.ok) throw new Error(`the database answered ${response.status}`)
  return text
}

/** It is installed with the packages; before that there is none. */
export const templateIn = (directory: string): string => join(directory, 'page.html')

export const template = `<h1>${kinds.map((kind) => `{${kind}}`).join('</h1><p>')}</p>`

/** @throws while the packages are not installed */
export async function renderPage(directory: string, id: string, give: GivePart): Promise<string> {
  const html = await readFile(templateIn(directory), 'utf8')
  let page = html
  // One after the other, as a page was made then.
  for (const kind of kinds) page = page.replace(`{${kind}}`, await give(kind, id))
  return page
}
