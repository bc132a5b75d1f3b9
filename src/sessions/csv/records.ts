import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Session } from '../session.ts'
import { parseRecords, ROWS_PER_TURN } from './codec.ts'
import type { Line } from './lines.ts'
import { RowError } from './row.ts'
import { scanLine } from './scan.ts'

/** A session and the line where it was found; of a record over several lines, the first one. */
export interface FoundRow {
  readonly line: Line
  /** The record's text, line breaks included. */
  readonly text: string
  readonly session: Session
}

/** A row that goes aside, and why. */
export interface RejectedRow {
  readonly line: Line
  readonly text: string
  readonly reason: string
}

/** How the rows of a file are read. */
export interface RecordOptions {
  /** Cells of a row. */
  readonly width: number
  /** Throws a RowError to refuse a row. */
  readonly parse: (cells: readonly string[]) => Session
}

// A quote that is never closed would otherwise have each line look at all that follow.
const MAX_JOINED_LINES = 200
const MAX_JOINED_LENGTH = 256 * 1024

/**
 * Reads the rows of a file.
 *
 * *Promise.* Each line that is not blank becomes part of one session or of one rejected row, and a bad row costs no other. A quoted line
 * break is read where the lines so joined are one session; else the first line alone is rejected, and reading goes on at the next.
 * Gives way to the event loop every few milliseconds.
 *
 * *Not promised.* A row torn within an unknown column, before a row whose first quoted cell begins with a comma, may swallow that row.
 */
export async function readRecords (lines: readonly Line[], options: RecordOptions): Promise<{ found: FoundRow[], rejected: RejectedRow[] }> {
  const found: FoundRow[] = []
  const rejected: RejectedRow[] = []
  let batch: Line[] = []
  const flush = async (): Promise<void> => {
    const rows = await parseRecords(batch.map(({ text }) => text))
    for (const [index, line] of batch.entries()) {
      const result = parseCells(rows[index], options)
      if (typeof result === 'string') rejected.push({ line, text: line.text, reason: result })
      else found.push({ line, text: line.text, session: result })
    }
    batch = []
  }
  for (let index = 0; index < lines.length; index++) {
    if (index % ROWS_PER_TURN === 0) await nextTurn()
    const line = lines[index]
    if (line === undefined || line.text.trim() === '') continue
    const problem = findProblem(line, options.width)
    if (problem === undefined) batch.push(line)
    else if (problem !== OPEN) rejected.push({ line, text: line.text, reason: problem })
    else {
      const joined = await joinLines(lines, index, options)
      if (typeof joined === 'string') rejected.push({ line, text: line.text, reason: joined })
      else {
        found.push({ line, text: joined.text, session: joined.session })
        index = joined.lastIndex
      }
    }
    if (batch.length >= ROWS_PER_TURN) await flush()
  }
  await flush()
  return { found, rejected }
}

const OPEN = 'a quote is never closed'

function findProblem (line: Line, width: number): string | undefined {
  if (!line.isUtf8) return 'not UTF-8'
  // fast-csv would drop it and read the rest as if it had never been there.
  if (line.text.includes('\0')) return 'a NUL character'
  const { cells, isOpen, isMalformed } = scanLine(line.text)
  if (isOpen) return OPEN
  if (isMalformed) return 'text follows a closing quote'
  return cells === width ? undefined : `${cells} cells instead of ${width}`
}

function parseCells (cells: string[] | undefined, { width, parse }: RecordOptions): Session | string {
  if (cells === undefined) return 'not CSV'
  if (cells.length !== width) return `${cells.length} cells instead of ${width}`
  try {
    return parse(cells)
  } catch (error) {
    if (error instanceof RowError) return error.message
    throw error
  }
}

async function joinLines (
  lines: readonly Line[], start: number, options: RecordOptions
): Promise<{ session: Session, text: string, lastIndex: number } | string> {
  const parts = [lines[start]?.text ?? '']
  let length = 0
  let scan = scanLine(parts.join())
  for (const line of lines.slice(start + 1, start + MAX_JOINED_LINES)) {
    length += line.text.length
    if (length > MAX_JOINED_LENGTH || !line.isUtf8 || line.text.includes('\0')) return OPEN
    parts.push(line.text)
    scan = scanLine(line.text, scan)
    if (!scan.isOpen) break
  }
  if (scan.isOpen || scan.isMalformed || scan.cells !== options.width) return OPEN
  const text = parts.join('\n')
  const [cells] = await parseRecords([text])
  const session = parseCells(cells, options)
  return typeof session === 'string' ? session : { session, text, lastIndex: start + parts.length - 1 }
}
