import { createHash } from 'node:crypto'
import { isUtf8 } from 'node:buffer'
import type { FileState, OpenFile } from './files.ts'

/** A physical line of the file, without its end. */
export interface Line {
  /** Counted from 1, as editors do. */
  readonly number: number
  /** Of a line that is not UTF-8, its bytes as Latin-1. */
  readonly text: string
  readonly isUtf8: boolean
}

/** A file as it was read. */
export interface ReadFile {
  readonly lines: readonly Line[]
  readonly state: FileState
  /** Over all bytes. */
  readonly sha256: string
}

const CHUNK_BYTES = 256 * 1024
const LINE_FEED = 10

/** Reads a file to its end, line by line. */
export async function readLines (file: OpenFile): Promise<ReadFile> {
  const lines: Line[] = []
  const hash = createHash('sha256')
  let rest: Buffer[] = []
  for await (const chunk of readChunks(file)) {
    hash.update(chunk)
    const end = chunk.lastIndexOf(LINE_FEED)
    if (end === -1) {
      rest.push(chunk)
      continue
    }
    // Cut behind a line feed, no block splits a character.
    addLines(lines, Buffer.concat([...rest, chunk.subarray(0, end)]))
    rest = end + 1 < chunk.length ? [chunk.subarray(end + 1)] : []
  }
  if (rest.length > 0) addLines(lines, Buffer.concat(rest))
  return { lines, state: await file.stat(), sha256: hash.digest('hex') }
}

/** Reads a file to its end; the caller may keep the chunks. */
export async function * readChunks (file: OpenFile): AsyncGenerator<Buffer> {
  for (;;) {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
    const length = await file.read(buffer)
    if (length === 0) return
    yield buffer.subarray(0, length)
  }
}

function addLines (lines: Line[], block: Buffer): void {
  const isText = isUtf8(block)
  for (const text of block.toString(isText ? 'utf8' : 'latin1').split('\n')) {
    const number = lines.length + 1
    lines.push(isText ? { number, text: trimLine(number, text), isUtf8: true } : decodeLine(number, text))
  }
}

/** Of a block that is not UTF-8 as a whole, most lines are. */
function decodeLine (number: number, latin1: string): Line {
  const bytes = Buffer.from(latin1, 'latin1')
  const isText = isUtf8(bytes)
  return { number, text: trimLine(number, isText ? bytes.toString('utf8') : latin1), isUtf8: isText }
}

function trimLine (number: number, text: string): string {
  const start = number === 1 && text.startsWith('\uFEFF') ? 1 : 0
  return text.slice(start, text.endsWith('\r') ? -1 : undefined)
}
