import { crc32 } from 'node:zlib'
import type { ChangedRows } from './row-lines.ts'
import { formatLine } from './row-text.ts'

/**
 * What stands in a journal, as text: records of one or more lines.
 *
 * | line | meaning |
 * | --- | --- |
 * | `holdline-journal 1 <id> <predecessor>` | the first line: a journal's own id, and the id of the journal that it goes on from, or `-` |
 * | `=<sha256>` | all that follows continues the file with this checksum, or any that another such line names |
 * | `+<row>` | a session is new or changed: its line in the file |
 * | `-<session_id>` | a session is removed |
 * | `~<crc32>` | the end of a record: CRC-32 of all bytes before it, in 8 hexadecimal digits, the ends of earlier records left out |
 *
 * A record counts when all its bytes are there and its checksum is right. Since a checksum goes on from the one before, a record cannot be taken
 * for one of another place or another journal.
 */
const MAGIC = 'holdline-journal 1'
const HEADER = /^holdline-journal 1 ([0-9a-f-]{36}) (-|[0-9a-f-]{36})$/
const END_BYTES = '~00000000\n'.length

/** What a journal says about itself. */
export interface JournalHeader {
  readonly id: string
  /** The id of the journal whose changes came before this one's. */
  readonly predecessor: string | undefined
}

/** The first line of a journal. */
export function formatHeader ({ id, predecessor }: JournalHeader): string {
  return `${MAGIC} ${id} ${predecessor ?? '-'}`
}

/** Reads the first line of a journal; undefined if it is none. */
export function parseHeader (line: string): JournalHeader | undefined {
  const [, id, predecessor] = HEADER.exec(line) ?? []
  return id === undefined ? undefined : { id, predecessor: predecessor === '-' ? undefined : predecessor }
}

/** The line that names a file which the journal continues. */
export function formatFile (sha256: string): string {
  return `=${sha256}`
}

/** The lines of a group of changes. */
export function formatChanges (changes: ChangedRows): string[] {
  const lines: string[] = []
  for (const [sessionId, changed] of changes) lines.push(changed === undefined ? `-${sessionId}` : `+${formatLine(changed)}`)
  return lines
}

/** The bytes of one record, which may have no lines, and the checksum that the next one goes on from. */
export function formatRecord (lines: readonly string[], checksum: number): { bytes: Buffer, checksum: number } {
  const bytes = Buffer.from([...lines, '~00000000', ''].join('\n'))
  const end = bytes.length - END_BYTES
  const own = crc32(bytes.subarray(0, end), checksum)
  bytes.write(formatChecksum(own), end + 1)
  return { bytes, checksum: own }
}

/** A checksum as it stands behind the `~`. */
export function formatChecksum (checksum: number): string {
  return checksum.toString(16).padStart(8, '0')
}
