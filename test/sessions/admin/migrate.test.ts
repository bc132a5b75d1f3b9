import t from 'tap'
import type { MoveReport } from '../../../src/move-report.ts'
import { migrateSessions } from '../../../src/sessions/admin/migrate.ts'
import { makeAdmin, readJson, readText } from '../../fixtures/admin.ts'

const SUM = { count: 2, sha256: 'ab'.repeat(32) }
const SUMS = { threads: 2, checkpoints: SUM, notes: SUM, unreadable: [], left: 0 }
const REPORT: MoveReport = {
  from: 'csv:/a\u001b[2J.csv',
  to: 'postgres://db/app',
  isDryRun: false,
  isResumed: false,
  sessions: { source: SUM, target: SUM, skipped: 0 },
  conversations: { from: '/c.sqlite', to: 'postgres://db/app', source: SUMS, target: SUMS, skipped: 0 },
  isVerified: true,
  notes: ['something']
}

async function run (more: Partial<MoveReport>) {
  return await migrateSessions(makeAdmin('.', { move: async () => ({ ...REPORT, ...more }) }), { from: 'csv', to: 'postgres', isDryRun: false })
}

t.test('what was moved and found again is told, for people and for programs', async t => {
  const outcome = await run({})
  t.match(outcome, { hasFailed: false, notes: ['something'] })
  t.match(readText(outcome), /^From csv:\/a\\u001b\[2J\.csv to postgres:\/\/db\/app\nConversations from [^]*sessions +2 +(?:ab){32}\n[^]*is the same\.\n$/)
  t.match(readJson(outcome), { is_verified: true, sessions: { source: SUM, target: SUM }, conversations: { target: { threads: 2 } }, notes: ['something'] })
  t.match(readText(await run({ isResumed: true, sessions: { ...REPORT.sessions, skipped: 1 } })), /, resumed\n[^]*1 of them was there already\n/)
})

t.test('a difference is a failure, and shows what is there instead', async t => {
  const outcome = await run({ isVerified: false, sessions: { source: SUM, target: { count: 1, sha256: 'cd'.repeat(32) }, skipped: 0 } })
  t.equal(outcome.hasFailed, true)
  t.match(readText(outcome), /NOT ALL OF IT IS IN THE TARGET[^]*sessions +1 +(?:cd){32}\n/)
})

t.test('a dry run is no failure, and says that it was one', async t => {
  const outcome = await run({ isDryRun: true, isVerified: false, conversations: undefined, sessions: { source: SUM, skipped: 0 } })
  t.equal(outcome.hasFailed, false)
  t.match(readText(outcome), /, a dry run\n[^]*Nothing was written\.\n$/)
  t.match(readJson(outcome), { sessions: { target: null }, conversations: null })
})
