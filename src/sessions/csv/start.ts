import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ServiceError } from '../../errors.ts'
import { SessionTable } from '../memory.ts'
import type { LoadReport } from '../store.ts'
import type { TurnLocks } from '../turn-lock.ts'
import { LENGTH_PER_TURN, ROWS_PER_TURN } from './codec.ts'
import { SessionFile } from './file.ts'
import { Journals } from './journals.ts'
import { readFile } from './lines.ts'
import { chooseSessions, formatRejected, readRows, replayChanges, type FoundRows, type LoadOptions } from './load.ts'
import type { CsvSessionStoreOptions } from './open.ts'
import type { RejectedRow } from './records.ts'
import { readJournals, type Recovery } from './recovery.ts'
import { RowLines } from './row-lines.ts'
import { cutOwnLine, RowFormatter, type RowText } from './row-text.ts'

const NO_ROWS: FoundRows = { found: [], rejected: [], extraColumns: [] }

/** The sessions of a file, and what goes on from it. */
export interface Started {
  readonly file: SessionFile
  readonly journals: Journals
  readonly lines: RowLines
  readonly formatter: RowFormatter
  readonly table: SessionTable<RowText>
  readonly report: LoadReport
}

/**
 * Loads a session file with the journals that continue it, keeps what cannot be used under other names, and leaves the file in our form, alone and
 * whole.
 */
export async function startFile (options: Required<CsvSessionStoreOptions>, realPath: string, turns: TurnLocks): Promise<Started> {
  const { path, timeoutMs, fsync, now, files, log, observer } = options
  log.info({ path }, `Loading sessions from ${path}`)
  const isSynced = fsync === 'always'
  const file = new SessionFile({ files, realPath, name: basename(path), isSynced, now, log, observer })
  const journals = new Journals(realPath, { files, isSynced })
  await file.removeLeftover()
  await journals.removeLeftover()
  const loadOptions: LoadOptions = { ...options, nowMs: now() }
  const rows = await file.read((blocks) => readRows(blocks, loadOptions)) ?? NO_ROWS
  const recovery = await readJournals(files, realPath, file.checksums[0])
  const loaded = await chooseSessions(await replayChanges(rows, recovery.changes, loadOptions), loadOptions)
  const formatter = new RowFormatter(rows.extraColumns)
  const table = new SessionTable<RowText>({ timeoutMs, now, locks: turns })
  let [count, length] = [0, 0]
  for (const { session, line } of loaded.sessions) {
    const row = line === undefined ? formatter.prepare(session) : cutOwnLine(line)
    table.put(session, row)
    length += line === undefined ? formatter.weigh(row) : 0
    if (++count < ROWS_PER_TURN && length < LENGTH_PER_TURN) continue
    [count, length] = [0, 0]
    await nextTurn()
  }
  table.sortQuestions()
  const lines = new RowLines(formatter, table)
  await keepRejected(loaded.rejected, file, options)
  try {
    await takeOver(recovery, journals, file, options)
    await bringIntoForm(file, lines, journals, recovery, path)
    await journals.drop()
  } finally {
    await journals.close()
  }
  const { expired, expiredThreads } = loaded
  const report: LoadReport = { loaded: table.size, expired, rejected: loaded.rejected.length, expiredThreads }
  log.info({ expired, rejected: report.rejected }, `Loaded ${report.loaded} sessions from ${path}`)
  return { file, journals, lines, formatter, table, report }
}

/** Says what the journals are good for, and keeps under another name what is not to be applied, or not as a whole. */
async function takeOver (recovery: Recovery, journals: Journals, file: SessionFile, options: Required<CsvSessionStoreOptions>): Promise<void> {
  const { path, files, log } = options
  for (const stranger of recovery.strangers) {
    const name = await file.aside.move(stranger.path)
    log.warn({ file: name, reason: stranger.reason }, `A journal beside ${path} is set aside as ${name} and not applied: ${stranger.reason}`)
  }
  for (const { path: journalPath, rest, isDamaged } of recovery.fitting) {
    if (isDamaged) {
      const { name } = await file.aside.keep('journal', () => readFile(files, journalPath))
      log.error({ file: name, bytes: rest }, `The journal of ${path} is damaged: it is applied up to there, and kept in ${name}`)
    } else if (rest > 0) {
      log.warn({ bytes: rest }, `The journal of ${path} ends within a change, which nobody was told was saved: ${rest} bytes are cut off`)
    }
  }
  if (recovery.changes.size > 0) log.info({ changes: recovery.changes.size }, `Recovered ${recovery.changes.size} changed sessions from the journal of ${path}`)
  await journals.adopt(recovery)
}

/** Writes the file as it is to be, unless it is. */
async function bringIntoForm (file: SessionFile, lines: RowLines, journals: Journals, { fitting }: Recovery, path: string): Promise<void> {
  if (journals.isEmpty && file.checksums[0] === await digest(lines.chunks())) return
  const announce = async (sha256: string): Promise<void> => { if (fitting.length > 0) await journals.recordFile(sha256) }
  const { isReplaced } = await file.replace(() => lines.chunks(), { overwrites: false, announce })
  if (!isReplaced) throw new ServiceError('STORE_UNAVAILABLE', { message: `${path} was changed by another program while it was loaded; start again` })
}

/** Before the session file is rewritten without them. */
async function keepRejected (rejected: readonly RejectedRow[], file: SessionFile, { path, log }: Required<CsvSessionStoreOptions>): Promise<void> {
  if (rejected.length === 0) return
  const { name } = await file.aside.keep('rejected', () => formatRejected(rejected))
  log.warn({ rejected: rejected.length, file: name }, `${rejected.length} rows of ${path} could not be read; they are kept in ${name}`)
}

async function digest (chunks: Iterable<Buffer>): Promise<string> {
  const hash = createHash('sha256')
  for (const chunk of chunks) {
    hash.update(chunk)
    await nextTurn()
  }
  return hash.digest('hex')
}
