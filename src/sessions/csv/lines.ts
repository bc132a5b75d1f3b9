import { isUtf8 } from 'node:buffer'
import type { FileOperations, OpenFile } from './files.ts'

/** A physical line of the file, without its end. */
export interface Line {
  /** Counted from 1, as editors do. */
  readonly number: number
  /** Of a line that is not UTF-8, its bytes as Latin-1. */
  readonly text: string
  readonly isUtf8: boolean
}

/** Read and cut into lines at once: a fraction of a millisecond. */
const CHUNK_BYTES = 64 * 1024
const LINE_FEED = 10

/**
 * Reads a file to its end, in blocks of whole lines.
 *
 * @param look Called with all bytes, in their order.
 */
export async function * readLines (file: OpenFile, look: (chunk: Buffer) => void = () => {}): AsyncGenerator<Line[]> {
  let count = 0
  let rest: Buffer[] = []
  for await (const chunk of readChunks(file)) {
    look(chunk)
    const end = chunk.lastIndexOf(LINE_FEED)
    if (end === -1) {
      rest.push(chunk)
      continue
    }
    // Cut behind a line feed, no block splits a character.
    const lines = cutLines(Buffer.concat([...rest, chunk.subarray(0, end)]), count)
    count += lines.length
    rest = end + 1 < chunk.length ? [chunk.subarray(end + 1)] : []
    yield lines
  }
  if (rest.length > 0) yield cutLines(Buffer.concat(rest), count)
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

/** Opens a file and reads it to its end. */
export async function * readFile (files: FileOperations, path: string): AsyncGenerator<Buffer> {
  const file = await files.open(path)
  try {
    yield * readChunks(file)
  } finally {
    await file.close()
  }
}

function cutLines (block: Buffer, before: number): Line[] {
  const isText = isUtf8(block)
  return block.toString(isText ? 'utf8' : 'latin1').split('\n').map((text, index) => {
    const number = before + index + 1
    return isText ? { number, text: trimLine(number, text), isUtf8: true } : decodeLine(number, text)
  })
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
