import { Tally } from '../tally.ts'
import type { AdminOptions, Outcome } from './options.ts'
import { formatTable } from './text.ts'
import { readView } from './view.ts'

/** Counts the sessions: live, with a question, on each platform; and those that are silent for too long and still stand in the file. */
export async function countSessions (options: AdminOptions): Promise<Outcome> {
  const { live, expired, expiredText, notes } = await readView(options)
  const tally = new Tally()
  for (const { session } of live) tally.add(session)
  const platforms = [...tally.counts].sort(([a], [b]) => a < b ? -1 : 1)
  const pending = platforms.reduce((sum, [, counted]) => sum + counted.pending, 0)
  const rows: Array<[string, number]> = [
    ['sessions', live.length],
    ['with a question', pending],
    ...platforms.map(([platform, { all }]): [string, number] => [`on ${platform}`, all]),
    [expiredText, expired.length]
  ]
  const width = Math.max(...rows.map(([, amount]) => String(amount).length))
  return {
    json: {
      count: live.length,
      pending_approvals: pending,
      by_platform: Object.fromEntries(platforms.map(([platform, { all }]) => [platform, all])),
      expired: expired.length
    },
    text: formatTable(rows.map(([name, amount]) => [name, String(amount).padStart(width)])),
    notes
  }
}
