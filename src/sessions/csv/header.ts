import { ServiceError } from '../../errors.ts'

/** The columns of the file, in their order. */
export const COLUMNS = [
  'session_id', 'user_id', 'platform', 'thread_id', 'created_at', 'last_activity', 'pending_approval', 'metadata'
] as const

/** A column that the service knows. */
export type Column = typeof COLUMNS[number]

const REQUIRED: readonly Column[] = ['session_id', 'user_id', 'last_activity']

const OWN_PLACES: Readonly<Record<Column, number>> = {
  session_id: 0, user_id: 1, platform: 2, thread_id: 3, created_at: 4, last_activity: 5, pending_approval: 6, metadata: 7
}

/** Which cell of a row is what. */
export interface Header {
  /** How many cells a row has. */
  readonly width: number
  /** Whether it is the header that the service writes, with no column more. */
  readonly isOwn: boolean
  /** Reads the cell of a column; undefined where the file does not have that column. */
  readonly cell: (cells: readonly string[], column: Column) => string | undefined
  /** The names of the columns that the service does not know, in their order. */
  readonly extraColumns: readonly string[]
  readonly extra: (cells: readonly string[]) => Record<string, string>
}

/** One object for the sessions of nearly every file. */
const NO_EXTRA: Record<string, string> = Object.freeze({})

/** Each kind of line break, of which some tools know more than others. */
export const LINE_BREAK = /\r\n|[\n\r\v\f\u0085\u2028\u2029]/g

/**
 * Reads the header line.
 *
 * @param cells The cells of the first line; undefined if it is not CSV.
 * @throws ServiceError FILE_INVALID, saying what is missing.
 */
export function parseHeader (path: string, cells: readonly string[] | undefined): Header {
  const names = cells?.map((name) => name.replace(LINE_BREAK, ' ').trim()) ?? []
  const places = new Map(names.map((name, index) => [name, index]))
  const missing = REQUIRED.filter((name) => !places.has(name))
  if (missing.length > 0) {
    const isOtherCsv = names.some((name) => name.includes(';'))
    const hint = isOtherCsv ? 'its columns are separated by ; instead of , (save it as CSV with commas)' : `it lacks ${missing.join(', ')}`
    throw new ServiceError('FILE_INVALID', { message: `${path} does not begin with the header of a session file: ${hint}` })
  }
  const double = names.find((name, index) => places.get(name) !== index)
  if (double !== undefined) {
    throw new ServiceError('FILE_INVALID', { message: `${path} has more than one column named "${double}"` })
  }
  const known = new Set<string>(COLUMNS)
  const extras = [...places].filter(([name]) => !known.has(name))
  const isOwn = names.length === COLUMNS.length && COLUMNS.every((name, index) => names[index] === name)
  return {
    width: names.length,
    isOwn,
    cell: isOwn ? (row, column) => row[OWN_PLACES[column]] : (row, column) => row[places.get(column) ?? -1],
    extraColumns: extras.map(([name]) => name),
    extra: (row) => extras.length === 0 ? NO_EXTRA : Object.fromEntries(extras.map(([name, index]) => [name, (row[index] ?? '').replace(LINE_BREAK, ' ')]))
  }
}
