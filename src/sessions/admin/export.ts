import { formatFile } from '../csv/file-text.ts'
import { describeSession } from './describe.ts'
import { writeFile } from './new-file.ts'
import type { AdminOptions, Outcome } from './options.ts'
import { count, escapeControls, formatJson } from './text.ts'
import { readView } from './view.ts'

/** How the sessions are exported. */
export interface ExportTarget {
  /** A file that must not exist yet; stdout without it. */
  readonly file?: string | undefined
  /** JSON instead of a session file. */
  readonly isJson: boolean
}

/** Writes the live sessions, as a session file or as JSON. What the cells hold is written as it is, for programs. */
export async function exportSessions (options: AdminOptions, { file, isJson }: ExportTarget): Promise<Outcome> {
  const { live, extraColumns, nowMs, notes } = await readView(options)
  const json = { sessions: live.map(({ session }) => describeSession(session, nowMs)), count: live.length }
  const chunks = (): Iterable<Buffer> =>
    isJson ? [Buffer.from(`${formatJson(json)}\n`)] : formatFile(live, extraColumns)
  if (file === undefined) return { json, text: isJson ? [] : chunks(), notes }
  const { bytes } = await writeFile(options, file, chunks())
  return {
    json: { file, count: live.length, bytes },
    text: [`${escapeControls(file)}: ${count(live.length, 'session')}, ${count(bytes, 'byte')}\n`],
    notes
  }
}
