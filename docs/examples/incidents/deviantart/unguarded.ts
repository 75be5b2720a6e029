import type { SiteDatabases } from './databases.js'
import { nextId } from './sequences.js'
import type { Data } from './site.js'
import { readPage, saveComment } from './tables.js'

export const unguarded = ({ shards, ids }: SiteDatabases): Data => ({
  nextId: () => nextId(ids()),
  saveComment: (comment) => saveComment(shards, comment),
  readPage: (page) => readPage(shards, page),
})
