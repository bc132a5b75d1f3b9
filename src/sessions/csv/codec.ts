import { parse, writeToString } from 'fast-csv'

/** Rows formatted or parsed before the event loop gets its turn: about two milliseconds' worth. */
export const ROWS_PER_TURN = 128

/** fast-csv takes a BOM off the start of whatever it is given; given one more, it leaves the text as it was. */
const BOM = '\uFEFF'

/**
 * Parses records of one row each.
 *
 * *Promise.* One result for each record, in order; undefined for one that is not CSV of exactly one row. Such a record costs no other: where
 * fast-csv stops at a batch, each of its records is parsed alone.
 *
 * *Not promised.* NUL characters: fast-csv drops them, so keep such records away.
 */
export async function parseRecords (records: readonly string[]): Promise<Array<string[] | undefined>> {
  const rows = await parseText(records.join('\n'))
  if (rows?.length === records.length) return rows
  if (records.length === 1) return [undefined]
  const results: Array<string[] | undefined> = []
  for (const record of records) results.push(...await parseRecords([record]))
  return results
}

/** Formats rows as one line each, without line ends; at least one. No cell may hold a line break or NUL. */
export async function formatRows (rows: readonly string[][]): Promise<string[]> {
  return (await writeToString([...rows], { headers: false })).split('\n')
}

function parseText (text: string): Promise<string[][] | undefined> {
  return new Promise((resolve) => {
    const rows: string[][] = []
    parse<string[], string[]>({ headers: false })
      .on('data', (row: string[]) => { rows.push(row) })
      .on('error', () => { resolve(undefined) })
      .on('end', () => { resolve(rows) })
      .end(`${BOM}${text}\n`)
  })
}
