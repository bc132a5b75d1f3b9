import { format, parse } from 'fast-csv'

/** Rows parsed, or looked at, before the event loop gets its turn: about a millisecond's worth, unless they are long. */
export const ROWS_PER_TURN = 100

/** Their characters: a few milliseconds' worth. */
export const LENGTH_PER_TURN = 32 * 1024

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
  if (records.length === 0) return []
  const rows = await parseText(records.join('\n'))
  if (rows?.length === records.length) return rows
  if (records.length === 1) return [undefined]
  const results: Array<string[] | undefined> = []
  for (const record of records) results.push(...await parseRecords([record]))
  return results
}

/**
 * Makes a function that formats a row as one line without its end. No cell may hold a line break or NUL.
 *
 * One stream formats them all, asked for each row as soon as it has been given: making a stream costs as much as thirty rows.
 */
export function createRowFormatter (): (cells: readonly string[]) => string {
  const stream = format<string[], string[]>({ headers: false })
  let isFirst = true
  return (cells) => {
    stream.write(cells)
    const bytes: unknown = stream.read()
    if (!Buffer.isBuffer(bytes)) throw new Error('fast-csv did not format a row at once')
    // It separates rows, so each but the first begins with a line feed.
    const line = bytes.toString('utf8', isFirst ? 0 : 1)
    isFirst = false
    return line
  }
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
