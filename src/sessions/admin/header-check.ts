import { parseRecords } from '../csv/codec.ts'
import type { FileOperations } from '../csv/files.ts'
import { COLUMNS } from '../csv/header.ts'
import { readChunks } from '../csv/lines.ts'
import { ifPresent } from '../csv/path.ts'

/** The first line of a session file, and what can be said of its form. */
export interface HeaderCheck {
  /** The first line that is not blank, without its end; undefined if there is none. */
  readonly line: string | undefined
  readonly lineNumber: number
  readonly hasBom: boolean
  readonly hasCrlf: boolean
  /** Columns that the service does not know, and keeps. */
  readonly extraColumns: readonly string[]
  /** Columns that the service knows and the file does not have. */
  readonly missingColumns: readonly string[]
  /** Whether the columns are those of the service, in its order, none more. */
  readonly isOwn: boolean
}

/** Looks at the first line of a file, whatever it is; undefined if there is no file. */
export async function checkHeader (files: FileOperations, realPath: string): Promise<HeaderCheck | undefined> {
  const file = await ifPresent(files.open(realPath))
  if (file === undefined) return undefined
  try {
    // A header is shorter than one chunk, and of what is no header the beginning is enough.
    const first = await readChunks(file).next()
    return await describe(first.done === true ? '' : first.value.toString('utf8'))
  } finally {
    await file.close()
  }
}

async function describe (text: string): Promise<HeaderCheck> {
  const hasBom = text.startsWith('\uFEFF')
  const lines = text.slice(hasBom ? 1 : 0).split('\n')
  const index = lines.findIndex((one) => one.trim() !== '')
  const raw = lines[index]
  const line = raw?.replace(/\r$/, '')
  const [cells = []] = line === undefined || line.includes('\0') ? [] : await parseRecords([line])
  const names = cells.map((name) => name.trim())
  const known: readonly string[] = COLUMNS
  return {
    line,
    lineNumber: index + 1,
    hasBom,
    hasCrlf: raw !== line,
    extraColumns: names.filter((name) => !known.includes(name)),
    missingColumns: known.filter((name) => !names.includes(name)),
    isOwn: names.length === known.length && known.every((name, place) => names[place] === name)
  }
}
