import { readFile, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { filesOf, inFile } from './database.js'
import { indexOf, recordsIn, type Place } from './format.js'

/**
 * Makes a new index from the records, and puts the records together, in place. Harmless when nobody else is at the files.
 *
 * @param msPerRecord a real one took 10 s to 10 min
 */
export async function rebuild(directory: string, name: string, msPerRecord: number): Promise<void> {
  const { records, index } = filesOf(directory, name)
  const bytes = await readFile(records)
  const all = new Map<number, Place>()
  let end = 0
  await inFile(records, 'r+', async (file) => {
    for (const { id, offset, length } of recordsIn(bytes)) {
      await file.write(bytes, offset, length, end)
      all.set(id, { offset: end, length })
      end += length
      await sleep(msPerRecord)
    }
    await file.truncate(end)
  })
  await writeFile(index, indexOf(all))
}
