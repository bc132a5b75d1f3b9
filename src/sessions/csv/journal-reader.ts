import { crc32 } from 'node:zlib'
import type { OpenFile } from './files.ts'
import { formatChecksum, parseHeader, type JournalHeader } from './journal-text.ts'
import type { JournalEnd } from './journal.ts'
import { readChunks } from './lines.ts'

/** What a journal holds. */
export interface JournalContent {
  /** Undefined if the file does not begin like a journal. */
  readonly header: JournalHeader | undefined
  /** The checksums of the files that it continues. */
  readonly files: readonly string[]
  /** By session id: its line in the file, or undefined if it was removed. The last change of a session alone. */
  readonly changes: ReadonlyMap<string, string | undefined>
  readonly end: JournalEnd
  /** Bytes behind the last whole record. */
  readonly rest: number
  /**
   * Whether that rest holds the end of a record: then it is no record cut off while it was written, which nobody was told was saved, but a damage
   * to what was.
   */
  readonly isDamaged: boolean
}

const LINE_FEED = 10
/** Wherever in a line: what stood before it may be what is wrong. */
const END = /~[0-9a-f]{8}$/

/** Reads a journal up to its last whole record. */
export async function readJournal (file: OpenFile): Promise<JournalContent> {
  const reader = new JournalReader()
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of readChunks(file)) {
    const block = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let start = 0
    for (let end = block.indexOf(LINE_FEED); end !== -1; end = block.indexOf(LINE_FEED, start)) {
      reader.add(block.subarray(start, end + 1))
      start = end + 1
    }
    rest = block.subarray(start)
  }
  return reader.finish(rest.length)
}

class JournalReader {
  #header: JournalHeader | undefined
  readonly #files: string[] = []
  readonly #changes = new Map<string, string | undefined>()
  #end: JournalEnd = { length: 0, checksum: 0 }
  /** Of the record that is being read. */
  #lines: string[] = []
  #checksum = 0
  #length = 0
  #isBroken = false
  #isDamaged = false

  /** @param bytes A line with its end. */
  add (bytes: Buffer): void {
    this.#length += bytes.length
    const line = bytes.toString('utf8', 0, bytes.length - 1)
    if (this.#isBroken) {
      this.#isDamaged ||= END.test(line)
    } else if (!line.startsWith('~')) {
      this.#lines.push(line)
      this.#checksum = crc32(bytes, this.#checksum)
    } else if (line === `~${formatChecksum(this.#checksum)}` && this.#apply()) {
      this.#end = { length: this.#length, checksum: this.#checksum }
      this.#lines = []
    } else {
      this.#isBroken = true
      this.#isDamaged = END.test(line)
    }
  }

  finish (unended: number): JournalContent {
    return {
      header: this.#header,
      files: this.#files,
      changes: this.#changes,
      end: this.#end,
      rest: this.#length + unended - this.#end.length,
      isDamaged: this.#isDamaged || this.#lines.some((line) => END.test(line))
    }
  }

  /** Returns false if a line of the record is of no kind that there is. */
  #apply (): boolean {
    const isFirst = this.#end.length === 0
    const header = isFirst ? parseHeader(this.#lines[0] ?? '') : undefined
    const lines = isFirst ? this.#lines.slice(1) : this.#lines
    if ((isFirst && header === undefined) || !lines.every((line) => /^[=+-]/.test(line))) return false
    this.#header ??= header
    for (const line of lines) this.#applyLine(line.charAt(0), line.slice(1))
    return true
  }

  #applyLine (kind: string, text: string): void {
    if (kind === '=') this.#files.push(text)
    else if (kind === '-') this.#changes.set(text, undefined)
    // A session id holds neither commas nor quotes.
    else this.#changes.set(text.slice(0, text.indexOf(',')), text)
  }
}
