import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Session } from '../session.ts'
import { LENGTH_PER_TURN, parseRecords, ROWS_PER_TURN } from './codec.ts'
import type { LineQueue } from './line-queue.ts'
import type { Line } from './lines.ts'
import { RowError } from './row.ts'
import { scanLine } from './scan.ts'

/** A session as it stands in a file. */
export interface ReadSession {
  readonly session: Session
  /** The line that it would be written as, where a look at the file tells. */
  readonly line?: string | undefined
}

/** A session and where it was found. */
export interface FoundRow extends ReadSession {
  /** Of a record over several lines, the first one. */
  readonly lineNumber: number
  /** The record's text, line breaks included. */
  readonly text: string
}

/** A row that goes aside, and why. */
export interface RejectedRow {
  readonly lineNumber: number
  readonly text: string
  /** Else its text is its bytes as Latin-1. */
  readonly isUtf8: boolean
  readonly reason: string
}

/** How the rows of a file are read. */
export interface RecordOptions {
  /** Cells of a row. */
  readonly width: number
  /** The cells of a line that is one row of this width in our own form. */
  readonly readOwn: (line: string) => string[] | undefined
  /** Throws a RowError to refuse a row. */
  readonly parse: (cells: readonly string[], ownLine: string | undefined) => ReadSession
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
export async function readRecords (lines: LineQueue, options: RecordOptions): Promise<{ found: FoundRow[], rejected: RejectedRow[] }> {
  const found: FoundRow[] = []
  const rejected: RejectedRow[] = []
  for (;;) {
    const batch: Array<{ line: Line, ownCells: string[] | undefined }> = []
    let open: Line | undefined
    const next = await lines.peek(ROWS_PER_TURN)
    if (next.length === 0) break
    let length = 0
    for (const line of next) {
      if (length > LENGTH_PER_TURN) break
      length += line.text.length
      lines.skip(1)
      const ownCells = line.isUtf8 ? options.readOwn(line.text) : undefined
      const problem = ownCells === undefined ? findProblem(line, options.width) : undefined
      if (problem === undefined) batch.push({ line, ownCells })
      else if (problem === OPEN) {
        open = line
        break
      } else if (problem !== BLANK) rejected.push(reject(line, problem))
    }
    const others = batch.filter(({ ownCells }) => ownCells === undefined)
    const rows = (await parseRecords(others.map(({ line }) => line.text))).values()
    for (const { line, ownCells } of batch) {
      add(line, line.text, ownCells === undefined ? parseCells(rows.next().value, options) : parseCells(ownCells, options, line.text))
    }
    if (open !== undefined) await joinLines(open)
    await nextTurn()
  }
  return { found, rejected }

  function add (line: Line, text: string, result: ReadSession | string): void {
    if (typeof result === 'string') rejected.push(reject(line, result))
    else found.push({ lineNumber: line.number, text, session: result.session, line: result.line })
  }

  async function joinLines (first: Line): Promise<void> {
    const text = joinRecord(first, await lines.peek(MAX_JOINED_LINES - 1), options.width)
    if (text === undefined) return add(first, '', OPEN)
    const [cells] = await parseRecords([text])
    const result = parseCells(cells, options)
    if (typeof result !== 'string') lines.skip(text.split('\n').length - 1)
    add(first, text, result)
  }
}

const OPEN = 'a quote is never closed'
const BLANK = 'blank'

function reject ({ number, text, isUtf8 }: Line, reason: string): RejectedRow {
  return { lineNumber: number, text, isUtf8, reason }
}

function findProblem (line: Line, width: number): string | undefined {
  if (!line.isUtf8) return 'not UTF-8'
  if (line.text.trim() === '') return BLANK
  // fast-csv would drop it and read the rest as if it had never been there.
  if (line.text.includes('\0')) return 'a NUL character'
  const { cells, isOpen, isMalformed } = scanLine(line.text)
  if (isOpen) return OPEN
  if (isMalformed) return 'text follows a closing quote'
  return cells === width ? undefined : `${cells} cells instead of ${width}`
}

function parseCells (cells: string[] | undefined, { width, parse }: RecordOptions, ownLine?: string): ReadSession | string {
  if (cells === undefined) return 'not CSV'
  if (cells.length !== width) return `${cells.length} cells instead of ${width}`
  try {
    return parse(cells, ownLine)
  } catch (error) {
    if (error instanceof RowError) return error.message
    throw error
  }
}

/** The text of a record that begins on one line and ends on one of those that follow; undefined if none of them ends it. */
function joinRecord (first: Line, following: readonly Line[], width: number): string | undefined {
  const parts = [first.text]
  let length = 0
  let scan = scanLine(first.text)
  for (const line of following) {
    length += line.text.length
    if (length > MAX_JOINED_LENGTH || !line.isUtf8 || line.text.includes('\0')) return undefined
    parts.push(line.text)
    scan = scanLine(line.text, scan)
    if (!scan.isOpen) break
  }
  return scan.isOpen || scan.isMalformed || scan.cells !== width ? undefined : parts.join('\n')
}
