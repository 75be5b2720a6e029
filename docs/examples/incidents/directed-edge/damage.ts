import { writeFile } from 'node:fs/promises'
import { checkAccount, checkRecord, Database, filesOf } from './database.js'
import { indexOf } from './format.js'

/** A new database with as many records. */
export async function create(directory: string, name: string, records: number): Promise<void> {
  const files = filesOf(directory, name)
  await writeFile(files.records, '')
  await writeFile(files.index, indexOf(new Map()))
  const database = new Database(directory, name)
  for (let id = 1; id <= records; id++) await database.write(id, textOf(name, id))
}

/** What lies under each id, so that whoever reads it can tell whether it is right. */
export const textOf = (name: string, id: number): string => `${name} ${id}: those who bought it bought ${id + 1} too`

/** As it happened once or twice a year. */
export async function corruptIndex(directory: string, name: string): Promise<void> {
  const { index } = filesOf(directory, name)
  await writeFile(index, indexOf(new Map()).fill(0xa5))
}

/** The index of the check account says the wrong place, so that to read it is an error. */
export async function misplaceCheck(directory: string): Promise<void> {
  await writeFile(filesOf(directory, checkAccount).index, indexOf(new Map([[checkRecord, { offset: 3, length: 40 }]])))
}

/** It says that there is nothing, so that to read it is a 404. */
export async function loseCheck(directory: string): Promise<void> {
  await writeFile(filesOf(directory, checkAccount).index, indexOf(new Map()))
}
