import type { MoveRequest } from '../../move-house.ts'
import type { MoveReport } from '../../move-report.ts'
import type { AdminOptions, Outcome } from './options.ts'
import { count, escapeControls, formatTable } from './text.ts'

/** Moves sessions and conversations between stores; fails unless all of them were found in the target. */
export async function migrateSessions ({ move }: AdminOptions, request: MoveRequest): Promise<Outcome> {
  const report = await move(request)
  return { json: describe(report), text: formatReport(report), notes: report.notes, hasFailed: !report.isDryRun && !report.isVerified }
}

function * formatReport (report: MoveReport): Generator<string> {
  const { from, to, isDryRun, isResumed, sessions, conversations, isVerified } = report
  yield `${escapeControls(`From ${from} to ${to}${isDryRun ? ', a dry run' : isResumed ? ', resumed' : ''}`)}\n`
  if (conversations !== undefined) yield `${escapeControls(`Conversations from ${conversations.from} to ${conversations.to}`)}\n`
  const skipped = sessions.skipped + (conversations?.skipped ?? 0)
  const rows = [
    ['', 'in the source', 'checksum'],
    ['sessions', String(sessions.source.count), sessions.source.sha256],
    ...conversations === undefined
      ? []
      : [
          ['conversations', String(conversations.source.threads), ''],
          ['their states', String(conversations.source.checkpoints.count), conversations.source.checkpoints.sha256],
          ['notes', String(conversations.source.notes.count), conversations.source.notes.sha256]
        ]
  ]
  yield * formatTable(rows)
  if (skipped > 0) yield `${count(skipped, 'of them was', 'of them were')} there already\n`
  if (isDryRun) yield 'The target can be reached and is fit. Nothing was written.\n'
  else if (isVerified) yield 'All of it was read again in the target, and is the same.\n'
  else yield * formatDifference(report)
}

/** What was found in the target instead. */
function * formatDifference ({ sessions, conversations }: MoveReport): Generator<string> {
  yield 'NOT ALL OF IT IS IN THE TARGET, and no service starts there. Run it again; what is there:\n'
  yield * formatTable([
    ['sessions', String(sessions.target?.count), sessions.target?.sha256 ?? ''],
    ...conversations?.target === undefined
      ? []
      : [
          ['conversations', String(conversations.target.threads), ''],
          ['their states', String(conversations.target.checkpoints.count), conversations.target.checkpoints.sha256],
          ['notes', String(conversations.target.notes.count), conversations.target.notes.sha256]
        ]
  ])
}

function describe ({ from, to, isDryRun, isResumed, isVerified, sessions, conversations, notes }: MoveReport): object {
  return {
    from,
    to,
    is_dry_run: isDryRun,
    is_resumed: isResumed,
    is_verified: isVerified,
    sessions: { source: sessions.source, target: sessions.target ?? null, skipped: sessions.skipped },
    conversations: conversations === undefined
      ? null
      : {
          from: conversations.from,
          to: conversations.to,
          source: describeSums(conversations.source),
          target: describeSums(conversations.target),
          skipped: conversations.skipped
        },
    notes
  }
}

function describeSums (sums: NonNullable<MoveReport['conversations']>['target']): object | null {
  if (sums === undefined) return null
  const { threads, checkpoints, notes, unreadable, left } = sums
  return { threads, checkpoints, notes, unreadable, left_states: left }
}
