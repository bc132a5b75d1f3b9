import { ServiceError } from '../../errors.ts'
import { formatTime } from '../csv/time.ts'
import { compareActivity } from '../order.ts'
import type { JsonObject, Session } from '../session.ts'
import { isOwnedBy } from '../user-id.ts'
import { describeSession } from './describe.ts'
import type { AdminOptions, Outcome } from './options.ts'
import { formatDuration, formatJson, formatTable } from './text.ts'
import { readView } from './view.ts'

interface Shown { readonly session: Session, readonly isExpired: boolean }

/**
 * Shows all there is about one session, or about those of one person, most recently active first; the expired that still stand in the file too.
 *
 * @param id A session's id, or else a person's: as it stands in the file, or as bots send it.
 * @throws ServiceError SESSION_NOT_FOUND.
 */
export async function showSessions (options: AdminOptions, id: string): Promise<Outcome> {
  const { name, live, expired, expiredText, nowMs, notes } = await readView(options)
  const all: Shown[] = [
    ...live.map(({ session }) => ({ session, isExpired: false })),
    ...expired.map(({ session }) => ({ session, isExpired: true }))
  ]
  const named = all.filter(({ session }) => session.sessionId === id)
  const shown = named.length > 0 ? named : all.filter(({ session }) => isOwnedBy(session, id)).sort((a, b) => compareActivity(b.session, a.session))
  if (shown.length === 0) throw new ServiceError('SESSION_NOT_FOUND', { message: `${name} has no session and no user "${id}"` })
  return {
    json: { sessions: shown.map(({ session, isExpired }) => ({ ...describeSession(session, nowMs), is_expired: isExpired })) },
    text: shown.map((one, index) => `${index === 0 ? '' : '\n'}${[...formatSession(one, nowMs, expiredText)].join('')}`),
    notes
  }
}

function * formatSession ({ session, isExpired }: Shown, nowMs: number, expiredText: string): Generator<string> {
  yield * formatTable([
    ['session_id', session.sessionId],
    ['user_id', session.userId],
    ['platform', session.platform],
    ['thread_id', session.threadId],
    ['created_at', formatMoment(session.createdAtMs, nowMs)],
    ['last_activity', formatMoment(session.lastActivityMs, nowMs)],
    ['state', isExpired ? expiredText : 'live'],
    ...Object.entries(session.extra)
  ])
  yield `pending_approval ${formatObject(session.pendingApproval)}\n`
  yield `metadata ${formatObject(session.metadata)}\n`
}

function formatMoment (timeMs: number, nowMs: number): string {
  return `${formatTime(timeMs)}  ${formatDuration(nowMs - timeMs)} ago`
}

function formatObject (value: JsonObject | null): string {
  return value === null ? '-' : formatJson(value, 2)
}
