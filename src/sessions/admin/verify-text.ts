import type { HeaderCheck } from './header-check.ts'
import { count, escapeControls } from './text.ts'
import type { BadRow, JournalCheck, RowsCheck, Verification } from './verify.ts'

/** Of a row that is set aside, enough to know it again. */
const MAX_EXCERPT = 100
/** More of a kind are counted; `--json` has them all. */
const MAX_SHOWN = 100

/** Says in words what a start would make of a session file. */
export function * formatVerification (found: Verification): Generator<string> {
  for (const line of walk(found)) yield `${escapeControls(line)}\n`
}

function * walk ({ path, bytes, header, refusal, rows, isInUse, unfinished, setAside, isKept }: Verification): Generator<string> {
  yield bytes === undefined ? `${path}: there is no such file, a start makes it` : `${path}: ${count(bytes, 'byte')}`
  if (header !== undefined) yield `header: ${describeHeader(header)}`
  if (rows !== undefined) yield * walkRows(rows)
  yield isInUse ? 'lock: held, a service is running' : 'lock: free'
  for (const name of unfinished) yield isInUse ? `unfinished: ${name} is being written` : `left over: ${name} was never finished; a start removes it`
  for (const name of setAside) yield `set aside earlier: ${name}; it holds personal data, delete it when you have looked at it`
  if (refusal !== undefined) {
    yield `A start would be refused, and the file left as it is: ${refusal}`
    if (header?.line !== undefined) yield `  line ${header.lineNumber}: ${cut(header.line)}`
  } else {
    yield isKept ? `A start would keep everything${describeRewrite(rows)}.` : `A start would not keep everything as it is${describeRewrite(rows)}.`
  }
}

function describeHeader ({ line, isOwn, hasBom, hasCrlf, extraColumns, missingColumns }: HeaderCheck): string {
  if (line === undefined) return 'none, the file is empty: no sessions'
  const remarks = [
    extraColumns.length > 0 ? `unknown columns, which are kept: ${extraColumns.join(', ')}` : '',
    missingColumns.length > 0 ? `without ${missingColumns.join(', ')}` : '',
    hasBom ? 'begins with a BOM' : '',
    hasCrlf ? 'ends with CR LF' : ''
  ].filter((remark) => remark !== '')
  if (isOwn && remarks.length === 0) return 'as the service writes it'
  return remarks.length > 0 ? remarks.join('; ') : 'columns in another order than the service writes them'
}

function * walkRows ({ sessions, expired, badRows, freshThreads, future, journals }: RowsCheck): Generator<string> {
  yield `sessions: ${sessions} would be loaded, ${expired} expired left out`
  yield * walkSome(badRows, (total) => `${count(total, 'row')} would be set aside:`, formatBadRow)
  yield * walkSome(freshThreads, (total) => `${count(total, 'session')} would go on with a fresh thread, a more recent one uses theirs:`,
    ({ sessionId, threadId }) => `session ${sessionId}: thread ${threadId}`)
  yield * walkSome(future, (total) => `${count(total, 'session')} active in the future, which counts as now:`,
    ({ sessionId, lastActivity }) => `session ${sessionId}: ${lastActivity}`)
  for (const journal of journals) yield `journal: ${formatJournal(journal)}`
}

function * walkSome<T> (items: readonly T[], title: (total: number) => string, format: (item: T) => string): Generator<string> {
  if (items.length === 0) return
  yield title(items.length)
  for (const item of items.slice(0, MAX_SHOWN)) yield `  ${format(item)}`
  if (items.length > MAX_SHOWN) yield `  and ${items.length - MAX_SHOWN} more, see --json`
}

function formatBadRow ({ line, source, reason, text }: BadRow): string {
  return `${source === 'file' ? 'line' : 'journal, change'} ${line}: ${reason}: ${cut(text)}`
}

function formatJournal ({ name, state, reason = '', changes = 0, tailBytes = 0, isDamaged = false }: JournalCheck): string {
  if (state === 'stranger') return `${name} would be set aside and not applied: ${reason}`
  if (state === 'spent') return `${name} holds nothing that the file lacks; a start removes it`
  const tail = isDamaged
    ? `; it is DAMAGED: the last ${count(tailBytes, 'byte')} hold changes that cannot be read, a start keeps a copy of it`
    : tailBytes > 0 ? `; its last ${count(tailBytes, 'byte')} are a change cut off, which nobody was told was saved` : ''
  return `${name} fits, with ${count(changes, 'changed session')}${tail}`
}

function describeRewrite (rows: RowsCheck | undefined): string {
  return rows?.isRewritten === true ? ', and would rewrite the file' : ', and would leave the file untouched'
}

function cut (text: string): string {
  return text.length > MAX_EXCERPT ? `${text.slice(0, MAX_EXCERPT)}…` : text
}
