import { formatTime } from '../csv/time.ts'
import { compareActivity } from '../order.ts'
import type { Session } from '../session.ts'
import { describeSession } from './describe.ts'
import type { AdminOptions, Outcome } from './options.ts'
import { formatDuration, formatTable } from './text.ts'
import { readView } from './view.ts'

/** Which sessions are listed; several conditions are all to hold. */
export interface ListFilter {
  readonly platform?: string | undefined
  /** Those with a question alone. */
  readonly pending?: boolean | undefined
  /** Those that are silent for too long and still stand in the file, instead of the live ones. */
  readonly expired?: boolean | undefined
}

const COLUMNS = ['session_id', 'user_id', 'platform', 'last_activity', 'silent', 'pending']

/** Lists the sessions, longest silent first. */
export async function listSessions (options: AdminOptions, { platform, pending = false, expired = false }: ListFilter): Promise<Outcome> {
  const { live, expired: gone, nowMs, notes } = await readView(options)
  const sessions = (expired ? gone : live)
    .map(({ session }) => session)
    .filter((session) => (platform === undefined || session.platform === platform) && (!pending || session.pendingApproval !== null))
    .sort(compareActivity)
  return {
    json: { sessions: sessions.map((session) => describeSession(session, nowMs)), count: sessions.length },
    text: formatTable([COLUMNS, ...sessions.map((session) => formatRow(session, nowMs))]),
    notes
  }
}

function formatRow ({ sessionId, userId, platform, lastActivityMs, pendingApproval }: Session, nowMs: number): string[] {
  return [sessionId, userId, platform, formatTime(lastActivityMs), formatDuration(nowMs - lastActivityMs), pendingApproval === null ? '-' : 'yes']
}
